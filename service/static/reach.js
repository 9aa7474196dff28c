// Says that a page has not heard of its service for a while, and since when. A page tells it what it heard: reach.ok(),
// reach.lost().
"use strict";
const reach = (() => {
  // One answer that failed is nothing yet: the next one may come.
  const PATIENCE_MS = 8000;
  const notice = document.createElement("p");
  notice.className = "unreached";
  notice.setAttribute("aria-live", "polite");
  document.querySelector("main").prepend(notice);
  let heard = Date.now();
  let waiting = 0;

  function say() {
    const since = new Date(heard).toISOString();
    const time = Date.now() - heard < 43200000 ? since.slice(11, 19) : since.slice(0, 16).replace("T", " ");
    notice.textContent = `Not reached since ${time} UTC. What is shown is from then; it goes on by itself.`;
    document.body.classList.add("stale");
  }

  return {
    ok() {
      heard = Date.now();
      if (!waiting) return;
      clearTimeout(waiting);
      waiting = 0;
      notice.textContent = "";
      document.body.classList.remove("stale");
    },
    lost() {
      waiting ||= setTimeout(say, Math.max(0, heard + PATIENCE_MS - Date.now()));
    },
  };
})();
