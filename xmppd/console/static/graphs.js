// The graphs of a page, drawn by uPlot in the place of the server's drawings: with a scale, and
// with the values below the pointer.
"use strict";

const HEIGHT = 150;
const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
const said = (value) => value.toLocaleString("en", { maximumFractionDigits: 1 });
// The moment of a mark of the axis, as short as the distance of two marks allows.
const marks = (_, all, __, ___, step) => all.map((seconds) => {
  const text = new Date(seconds * 1000).toISOString();
  return step < 60 ? text.slice(11, 19) : step < 86400 ? text.slice(11, 16) : text.slice(5, 10);
});
// From the first moment to the last one, at least of a minute: that of two samples says little.
const MINUTE_S = 60;
const span = (_, low, high) => {
  const end = high ?? Date.now() / 1000;
  return [Math.min(low ?? end, end - MINUTE_S), end];
};
const colour = (element) => getComputedStyle(element).color;

function graph(figure, at, lines) {
  const plot = figure.querySelector("[data-plot]");
  const keys = [...figure.querySelectorAll("[data-line]")];
  const last = keys.map((key) => key.querySelector("[data-last]"));
  const { unit } = figure.dataset;
  const moment = figure.querySelector("[data-moment]");
  const tell = (drawn) => {
    const index = drawn.cursor.idx ?? drawn.data[0].length - 1;
    const isPointed = drawn.cursor.idx !== null && drawn.cursor.idx !== undefined;
    last.forEach((each, line) => {
      const value = drawn.data[line + 1][index];
      if (value !== undefined) each.textContent = value === null ? "–" : `${said(value)} ${unit}`.trim();
    });
    moment.textContent = isPointed
      ? `${new Date(drawn.data[0][index] * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC` : "";
  };
  const axis = {
    stroke: () => colour(moment),
    grid: { stroke: () => getComputedStyle(figure).borderTopColor, width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  plot.replaceChildren();
  const drawn = new uPlot({
    width: plot.clientWidth,
    height: HEIGHT,
    tzDate: utc,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { range: span }, y: { range: (_, low, high) => [0, Math.max(high || 0, 1) * 1.08] } },
    axes: [
      { ...axis, space: 64, size: 28, values: marks },
      { ...axis, size: 46, space: 32, values: (_, all) => all.map(said) },
    ],
    series: [{}, ...lines.map((_, line) => ({
      stroke: () => colour(keys[line]),
      fill: line ? undefined : () => colour(keys[line]).replace("rgb(", "rgba(").replace(")", ", 0.12)"),
      width: 2,
      dash: line ? [5, 4] : undefined,
      points: { show: false },
    }))],
    hooks: { setCursor: [tell], setData: [tell] },
  }, [at, ...lines], plot);
  figure.querySelector(".ticks").remove();
  new ResizeObserver(() => drawn.setSize({ width: plot.clientWidth, height: HEIGHT })).observe(plot);
  return drawn;
}

async function draw(place) {
  const answer = await fetch(place.dataset.graphs);
  if (!answer.ok) return;
  const { at, graphs } = await answer.json();
  const drawn = new Map([...place.querySelectorAll("[data-graph]")].map((figure) =>
    [figure.dataset.graph, graph(figure, at, graphs[figure.dataset.graph])]));
  place.dataset.drawn = "1";
  matchMedia("(prefers-color-scheme: dark)").onchange = () => drawn.forEach((each) => each.redraw());
  const live = document.querySelector("[data-live]");
  if (!live || place.dataset.goesOn === undefined) return;
  live.addEventListener("told", ({ detail: step }) => {
    const [now] = step.at;
    if (now === undefined || now <= (at.at(-1) ?? 0) + 1) return;
    const begin = now - 3600;
    at.push(now);
    while (at[0] < begin) at.shift();
    for (const [key, each] of drawn) {
      const lines = graphs[key].map((line, index) => {
        line.push(step.graphs[key][index][0]);
        return line.splice(0, line.length - at.length) && line;
      });
      each.setData([at, ...lines]);
    }
  });
}

const place = document.querySelector("[data-graphs]");
if (place) draw(place);
