// Refreshes what is marked data-live from the page itself, while somebody looks at it. Without this, a reload does.
"use strict";
(() => {
  const EVERY_MS = 5000;
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
    return marked || part.contains(document.activeElement);
  };
  const refresh = async () => {
    if (paused || asking || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch(address, { credentials: "same-origin", cache: "no-store" });
      if (answer.redirected) return location.reload();
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const other = fresh.getElementById(part.id);
        if (other && !inUse(part) && part.innerHTML !== other.innerHTML) part.replaceWith(document.adoptNode(other));
      }
      const time = document.querySelector(".asof time"), other = fresh.querySelector(".asof time");
      if (time && other) time.replaceWith(document.adoptNode(other));
    } catch {
      // The service is not there at this moment; the next time may be better.
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
