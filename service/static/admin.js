// Refreshes what is marked data-live from the page itself, while somebody looks at it. Without this, a reload does.
"use strict";
(() => {
  const EVERY_MS = 5000;
  const ANSWER_MS = 10000;
  const button = document.querySelector("[data-pause]");
  if (!button || !document.querySelector("[data-live]")) return;
  // A page that answers a form has no address of its own to be asked at again.
  const address = location.pathname + location.search.replace(/([?&])(done|n)=[^&]*/g, "$1");
  let paused = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let asking = false;

  const say = () => {
    button.textContent = paused ? "Go on" : "Pause";
  };
  const inUse = (part) => {
    const selected = getSelection();
    const marked = selected && !selected.isCollapsed && selected.containsNode(part, true);
    return marked || part.contains(document.activeElement) || part.querySelector("details[open]");
  };
  const refresh = async () => {
    if (paused || asking || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch(address, { credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
      // The session is over.
      if (answer.redirected || answer.status === 401) return location.assign("/admin/login");
      if (!answer.ok) return reach.lost();
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      let all = true;
      for (const part of document.querySelectorAll("[data-live]")) {
        const other = fresh.getElementById(part.id);
        if (!other || part.innerHTML === other.innerHTML) continue;
        if (inUse(part)) all = false;
        else part.replaceWith(document.adoptNode(other));
      }
      const time = document.querySelector(".asof time"), other = fresh.querySelector(".asof time");
      // The time is that of the oldest part.
      if (all && time && other) time.replaceWith(document.adoptNode(other));
      const held = document.querySelector("[data-held]");
      if (held) held.hidden = all;
      reach.ok();
    } catch {
      reach.lost();
    } finally {
      asking = false;
    }
  };

  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    say();
    refresh();
  });
  document.addEventListener("visibilitychange", refresh);
  say();
  setInterval(refresh, EVERY_MS);
})();
