// The page of a video: the number of viewers as it moves, and charts for whoever has a token for statistics.
"use strict";
(() => {
  const video = document.getElementById("video").dataset.video;
  const api = `/api/v1/videos/${video}`;
  const say = (id, number) => { document.getElementById(id).textContent = number.toLocaleString("en"); };

  // Numbers

  let asked = false;
  function askViews() {
    if (asked) return;
    asked = true;
    setTimeout(async () => {
      asked = false;
      try {
        const answer = await fetch(api, { credentials: "omit" });
        if (answer.ok) say("views", (await answer.json()).views);
      } catch {
        // The next number that moves asks again.
      }
    }, 2000);
  }
  function listen() {
    const events = new EventSource(`${api}/viewers`);
    let open = false;
    events.addEventListener("open", () => {
      open = true;
      reach.ok();
    });
    events.addEventListener("views-change", (event) => {
      say("watching", JSON.parse(event.data).viewers);
      askViews();
    });
    events.addEventListener("error", () => {
      // Until now everything was heard.
      if (open) reach.ok();
      open = false;
      reach.lost();
      // Where it was refused the browser does not try again by itself.
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, 30000);
    });
  }
  listen();

  // Charts

  const form = document.getElementById("open");
  if (!form) return;
  const charts = document.getElementById("charts");
  const drawn = [];
  let token = "";
  document.getElementById("fate").textContent = "The token stays in this page and is forgotten with it.";

  const make = (tag, attributes = {}, ...inside) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...inside);
    return made;
  };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const ask = (path) => fetch(`${api}/stats/${path}`, { headers: { Authorization: `Bearer ${token}` } });
  const clock = (second) => `${Math.floor(second / 60)}:${String(Math.floor(second % 60)).padStart(2, "0")}`;
  const countries = typeof Intl.DisplayNames === "function" ? new Intl.DisplayNames("en", { type: "region" }) : null;
  function country(code) {
    if (code === "ZZ") return "Elsewhere";
    try {
      return (countries && countries.of(code)) || code;
    } catch {
      return code;
    }
  }
  // In UTC, as it is counted.
  const day = (date, step = 0) => date.slice(0, step >= 86400 ? 10 : 16).replace("T", " ");
  // Below an axis nothing is said twice: a day only where it begins.
  function dates(at, step) {
    let last = "";
    return at.map((x) => {
      const text = day(new Date(x * 1000).toISOString(), step);
      const shown = text === last ? "" : step < 86400 && text.slice(0, 10) === last.slice(0, 10) ? text.slice(11) : text.slice(step < 86400 ? 5 : 0);
      last = text;
      return shown;
    });
  }

  // A link that the browser alone could not follow: it has no token.
  function csv(path) {
    const link = make("a", { href: `${api}/stats/${path}?format=csv`, download: "" }, "CSV");
    link.addEventListener("click", async (event) => {
      if (link.href.startsWith("blob:")) return;
      event.preventDefault();
      const answer = await ask(`${path}?format=csv`);
      if (!answer.ok) return;
      const url = URL.createObjectURL(await answer.blob());
      make("a", { href: url, download: `${path.replace("/", "-")}.csv` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    });
    return link;
  }

  function table(caption, heads, rows) {
    const head = make("tr", {}, ...heads.map((text, at) => make("th", at ? { scope: "col", class: "number" } : { scope: "col" }, text)));
    const body = rows.map(([name, ...cells]) =>
      make("tr", {}, make("th", { scope: "row" }, String(name)), ...cells.map((cell) => make("td", { class: "number" }, String(cell)))));
    return make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
  }

  function section(title, path) {
    const made = make("section", { class: "chart" }, make("h3", {}, title), make("p", { class: "note" }, csv(path)));
    charts.append(made);
    return made;
  }

  function bars(title, path, kinds) {
    const made = section(title, path);
    for (const [caption, rows] of kinds) {
      const most = Math.max(1, ...rows.map(([, count]) => count));
      const shown = table(caption, [caption, "Viewers"], rows.map(([name, count]) => [name, count.toLocaleString("en")]));
      shown.className = "bars";
      if (!rows.length) shown.tBodies[0].append(make("tr", {}, make("td", { colspan: "2" }, "Nothing is known yet.")));
      [...shown.tBodies[0].rows].slice(0, rows.length).forEach((row, at) => {
        const bar = make("span", { class: "bar", "aria-hidden": "true" });
        bar.style.inlineSize = `${(100 * rows[at][1]) / most}%`;
        row.cells[0].append(bar);
      });
      made.append(shown);
    }
  }

  // One curve or row of columns, and the same as a table.
  function plot(title, path, { heads, xs, ys, time, row, unit, max }) {
    const made = section(title, path);
    if (!xs.length) {
      made.append(make("p", {}, "Nothing is known yet."));
      return;
    }
    const place = make("div", { class: "plot", role: "img", "aria-label": `${title}; the table below has the same numbers` });
    const rows = make("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": `${title}, as a table` },
      table(title, heads, xs.map((x, at) => row(x, ys[at]))));
    made.append(place, make("details", {}, make("summary", {}, "As a table"), rows));
    // Of a single point the library would show years.
    const step = xs.length < 2 ? (time ? 3600 : 1) : time ? xs[1] - xs[0] : 0;
    const axis = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const chart = new uPlot({
      width: place.clientWidth || 600,
      height: 220,
      padding: [12, time ? 56 : 16, 0, 0],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      scales: { x: { time, range: (_, low, high) => [low - step, (xs.length > 1 ? high : low) + 2 * step] }, y: { range: (_, low, high) => [0, max || Math.max(1, high * 1.1)] } },
      cursor: { drag: { x: true, y: false } },
      legend: { live: true },
      axes: [
        time ? { ...axis, gap: 10, space: step >= 86400 ? 90 : 60, values: (_, at) => dates(at, step) } : { ...axis, gap: 10, values: (_, at) => at.map(clock) },
        { ...axis, size: 60, values: (_, at) => at.map((y) => (Number.isInteger(y) ? y.toLocaleString("en") + unit : "")) },
      ],
      series: [
        time ? { label: heads[0], value: "{YYYY}-{MM}-{DD} {HH}:{mm}" } : { label: heads[0], value: (_, at) => (at == null ? "" : clock(at)) },
        {
          label: heads[1],
          stroke: () => colour("--accent"),
          fill: () => colour("--accent") + "33",
          width: 2,
          points: { show: false },
          value: (_, y) => (y == null ? "" : y.toLocaleString("en") + unit),
          ...(time ? { paths: uPlot.paths.bars({ size: [0.8, 60], align: 1 }) } : {}),
        },
      ],
    }, [xs, ys], place);
    drawn.push(chart);
    new ResizeObserver(() => {
      if (place.clientWidth) chart.setSize({ width: place.clientWidth, height: 220 });
    }).observe(place);
  }

  function overview(all) {
    const number = (word, value) => make("div", {}, make("dt", {}, word), make("dd", {}, value));
    charts.append(make("dl", { class: "cards" },
      number("Viewers so far", all.totalViewers.toLocaleString("en")),
      number("Most at once", all.viewersPeak.toLocaleString("en")),
      number("Watched on average", clock(all.averageWatchTime)),
      number("Watched in all", `${Math.round(all.totalWatchTime / 60).toLocaleString("en")} min`)));
  }

  const series = (title, path, unit, of) => (body) => plot(title, path, {
    heads: ["Time (UTC)", title],
    xs: body.data.map((point) => Date.parse(point.date) / 1000),
    ys: body.data.map((point) => of(point.value)),
    time: true,
    unit,
    row: (x, y) => [day(new Date(x * 1000).toISOString()), y.toLocaleString("en") + unit],
  });
  let overall = null;
  const shares = (list) => list.slice(0, 12).map((each) => [each.name, each.viewers]);
  const parts = [
    ["overall", (body) => {
      overview(body);
      overall = body;
    }],
    ["retention", (body) => plot("Retention", "retention", {
      heads: ["Position", "Viewers who saw it"],
      xs: body.data.map((point) => point.second),
      ys: body.data.map((point) => point.retentionPercent),
      time: false,
      unit: " %",
      max: 105,
      row: (x, y) => [clock(x), `${y} %`],
    })],
    ["timeseries/viewers", series("Viewers over time", "timeseries/viewers", "", (value) => value)],
    ["timeseries/aggregateWatchTime", series("Watch time", "timeseries/aggregateWatchTime", " min", (value) => Math.round(value / 6) / 10)],
    ["user-agent", (body) => {
      bars("Countries", "overall", [["Country", overall.countries.slice(0, 20).map((each) => [country(each.isoCode), each.viewers])]]);
      if (overall.attribution) charts.append(make("p", { class: "note" }, overall.attribution));
      bars("Players", "user-agent",
        [["Player", shares(body.clients)], ["Device", shares(body.devices)], ["System", shares(body.operatingSystems)]]);
    }],
  ].filter(([path]) => path !== "retention" || charts.dataset.liveStream !== "1");

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = document.getElementById("problem");
    problem.textContent = "";
    token = document.getElementById("token").value.trim();
    try {
      const answers = await Promise.all(parts.map(([path]) => ask(path)));
      const refused = answers.find((answer) => !answer.ok);
      if (refused) {
        const why = await refused.json();
        problem.textContent = why.detail || why.title || `Refused (${refused.status})`;
        return;
      }
      const bodies = await Promise.all(answers.map((answer) => answer.json()));
      charts.replaceChildren();
      charts.hidden = false;
      form.hidden = true;
      bodies.forEach((body, at) => parts[at][1](body));
    } catch {
      problem.textContent = "The service did not answer. Please try again.";
    }
  });
  for (const media of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(media).addEventListener("change", () => drawn.forEach((chart) => chart.redraw(false, true)));
  }
})();
