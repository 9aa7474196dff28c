// Keeps /stats fresh: fetches the page again while it is seen, puts in what changed and shades the map after its table.
"use strict";
(() => {
  const ANSWER_MS = 10000;
  const map = document.querySelector(".map svg");
  const every = document.getElementById("refresh").dataset.seconds * 1000;
  const url = new URL(location.href);
  url.searchParams.set("live", "1");

  function shade(table) {
    const seen = new Map();
    for (const row of table) seen.set("c-" + row.dataset.country, row);
    for (const shape of map.querySelectorAll("path, circle")) {
      const row = seen.get(shape.id);
      const shown = "s" + (row ? row.dataset.shade : "0");
      const title = shape.firstElementChild;
      const words = title.textContent.replace(/: [\d,]*$/, "") + ": " + (row ? row.cells[1].textContent : "0");
      if (shape.getAttribute("class") !== shown) shape.setAttribute("class", shown);
      if (title.textContent !== words) title.textContent = words;
    }
  }

  async function refresh() {
    const answer = await fetch(url, { credentials: "omit", signal: AbortSignal.timeout(ANSWER_MS) });
    if (!answer.ok) return reach.lost();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
      // Whoever opened the rest of a table keeps it open.
      for (const more of other ? other.querySelectorAll("details") : []) more.open = Boolean(part.querySelector("details[open]"));
      if (other && other.innerHTML !== part.innerHTML) part.replaceChildren(...other.childNodes);
    }
    if (map) shade(document.querySelectorAll("[data-country]"));
    reach.ok();
  }

  let busy = false;
  async function turn() {
    if (busy || document.visibilityState !== "visible") return;
    busy = true;
    try {
      await refresh();
    } catch {
      reach.lost();
    } finally {
      busy = false;
    }
  }
  setInterval(turn, every);
  document.addEventListener("visibilitychange", turn);
})();
