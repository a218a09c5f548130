// Draws charts with Vega-Lite.

const VEGA_CONFIG = {
  font: "system-ui, sans-serif",
  background: null,
  view: { stroke: null },
  axis: {
    gridColor: "#eef2f7", domainColor: "#cbd5e1", tickColor: "#cbd5e1",
    labelColor: "#64748b", titleColor: "#64748b", titleFontWeight: 500,
  },
  legend: {
    labelColor: "#334155", titleColor: "#64748b", titleFontWeight: 500,
    symbolLimit: 30, orient: "right", labelLimit: 110,
  },
  range: { category: { scheme: "tableau10" } },
};

async function drawChart(visual, card) {
  const datasets = {};
  for (const [name, part] of Object.entries(visual.parts)) datasets[name] = readChartRows(visual, part);
  if (Object.values(datasets).every((rows) => rows.length === 0)) return drawEmptyCard(card);
  const chart = createElement("div", "chart");
  card.append(chart);
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    width: "container", height: "container", autosize: { type: "fit", contains: "padding" },
    datasets, config: { ...VEGA_CONFIG, legend: { ...VEGA_CONFIG.legend, ...placeLegend(card) } },
    ...visual.look.spec,
  };
  for (const layer of spec.layer ?? [spec]) {
    setColors(layer, visual);
    if (["bar", "rect"].includes(layer.mark.type)) setMarkWidth(layer, Object.values(datasets).flat(), card);
  }
  const { view } = await vegaEmbed(chart, spec, {
    mode: "vega-lite", ast: true, actions: false, renderer: "canvas", defaultStyle: false,
    tooltip: (_, event, __, datum) => showTooltip(event, datum, visual.look.tips),
  });
  card.dataset.marks = JSON.stringify(countMarks(view.scenegraph().root));
}

// Returns the rows that have a value, with groups that Vega-Lite can read.
function readChartRows(visual, part) {
  const valueNames = part.values.map((_, position) => `v${position}`);
  const rows = aggregateRows(visual, part).filter((row) => valueNames.some((name) => row[name] !== null));
  for (const row of rows) for (const name in row) if (name[0] === "g") row[name] = toVegaValue(row[name]);
  return rows;
}

// Vega-Lite cannot use null as a value of a group, nor the text "__proto__", which is not a normal key of an object.
const toVegaValue = (value) => (value === null ? NULL_LABEL : value === "__proto__" ? "__proto__\u2060" : value);

function placeLegend(card) {
  if (card.clientWidth >= 520) return {};
  return { orient: "bottom", columns: card.clientWidth < 380 ? 2 : 4 };
}

// Counts the marks of a chart by type: the tests read the numbers.
function countMarks(root) {
  const counts = {};
  (function count(node) {
    for (const item of node.items ?? []) {
      if (node.role === "mark" && node.marktype !== "group") counts[node.marktype] = (counts[node.marktype] ?? 0) + 1;
      for (const child of item.items ?? []) count(child);
    }
  })(root);
  return counts;
}

// Gives a value the same color in all charts of a sheet: the domain is the longest list of values on the sheet that
// includes all values of this chart.
function setColors(layer, visual) {
  const color = layer.encoding?.color;
  if (color?.field !== "g1" || color.scale?.domain || color.type !== "nominal") return;
  const ownValues = listColorValues(visual);
  const sheet = content.sheets.find((candidate) => candidate.visuals.includes(visual));
  const lists = sheet.visuals.map(listColorValues).filter((list) => ownValues.every((value) => list.includes(value)));
  const domain = lists.sort((a, b) => b.length - a.length)[0] ?? ownValues;
  const scheme = domain.length > 10 ? "tableau20" : "tableau10";
  layer.encoding = { ...layer.encoding, color: { ...color, scale: { domain, scheme } } };
}

function listColorValues(visual) {
  const group = Object.values(visual.parts)[0].groups[1];
  return group === undefined ? [] : [...new Set(cubes[visual.cube].groups[group].map(toVegaValue))].sort();
}

// Makes bars and cells over time as wide as their step, between 2.5 and 24 pixels, and the axis longer by half a mark at
// both ends. A cell is a point of time with a width here: Vega-Lite would make it as wide as a day, also for weeks.
function setMarkWidth(layer, rows, card) {
  const { x } = layer.encoding;
  if (x?.type !== "temporal") return;
  const times = [...new Set(rows.map((row) => row.g0))].sort((a, b) => a - b);
  const step = times.slice(1).reduce((least, time, i) => Math.min(least, time - times[i]), Infinity);
  const full = ((card.clientWidth - 120) * step) / (times.at(-1) - times[0]);
  const share = layer.mark.type === "bar" ? 0.8 : 1;
  const width = Number.isFinite(full) ? Math.min(24, Math.max(2.5, share * full)) : 24;
  layer.mark = { ...layer.mark, width };
  layer.encoding = { ...layer.encoding, x: { ...x, scale: { ...x.scale, padding: width / 2 } } };
}

// Shows the values of a mark beside the pointer; hides the tooltip when the pointer is on no mark.
function showTooltip(event, datum, tips) {
  const box = document.getElementById("tooltip");
  const lines = datum && tips.find((list) => list.every((tip) => tip.field in datum));
  box.hidden = !lines;
  if (!lines) return;
  box.replaceChildren(...lines.map(({ field, title, time }) => {
    const value = datum[field], line = createElement("div");
    const text = time ? formatTime(value) : typeof value === "number" ? formatNumber(value) : value;
    line.append(createElement("span", "", title), ` ${text}`);
    return line;
  }));
  box.style.left = `${Math.min(event.clientX + 12, innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${Math.min(event.clientY + 12, innerHeight - box.offsetHeight - 8)}px`;
}
