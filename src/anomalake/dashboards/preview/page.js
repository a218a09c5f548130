// Draws the page: unpacks the embedded data, filters and aggregates it for each visual of the open sheet, and hands it to Vega-Lite or a table.
const ROW = 26; // pixels of one row of the grid
const NONE = "\u2060(none)"; // what null is called; the unseen joiner tells it from a value of that name
const CONFIG = {
  font: "system-ui, sans-serif",
  background: null,
  view: { stroke: null },
  axis: { gridColor: "#eef2f7", domainColor: "#cbd5e1", tickColor: "#cbd5e1", labelColor: "#64748b", titleColor: "#64748b", titleFontWeight: 500 },
  legend: { labelColor: "#334155", titleColor: "#64748b", titleFontWeight: 500, symbolLimit: 30, orient: "right", labelLimit: 110 },
  range: { category: { scheme: "tableau10" } },
};

const chosen = new Map(); // column -> value, of the drop-downs
let content, cubes, drawing = 0;

async function unpack() {
  const bytes = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function column(packed) {
  if (packed.kind === "number") return packed.data;
  if (packed.kind === "text") return packed.data.map((place) => (place === null ? null : packed.values[place]));
  let minutes = 0;
  return packed.data.map((step) => (step === null ? null : (minutes += step) * 60000));
}

// The rows of one part of a visual: grouped by its groups, its values aggregated, what the drop-downs exclude left out.
function rows(visual, part) {
  const cube = cubes[visual.cube];
  const kept = visual.controls.filter((name) => chosen.has(name)).map((name) => [cube.groups[cube.at.get(name)], chosen.get(name)]);
  const groups = part.groups.map((place) => cube.groups[place]), codes = part.groups.map((place) => coded(cube, place));
  const found = new Map();
  for (let i = 0; i < cube.rows; i++) {
    if (kept.some(([values, wanted]) => (values[i] ?? NONE) !== wanted)) continue;
    let key = 0;
    for (const code of codes) key = key * code.size + code.of[i];
    let row = found.get(key);
    if (!row) {
      row = { keys: groups.map((values) => values[i]), cells: part.values.map((value) => ({ n: 0, total: null, seen: value.op === "distinct" ? new Set() : null })) };
      found.set(key, row);
    }
    part.values.forEach((value, place) => add(row.cells[place], value, cube, i));
  }
  return [...found.values()].map((row) => {
    const record = {};
    row.keys.forEach((key, place) => (record[`g${place}`] = key));
    row.cells.forEach((cell, place) => (record[`v${place}`] = result(cell, part.values[place].op)));
    return record;
  });
}

// A column of groups as small numbers, worked out once, so that a row's place is found by arithmetic.
function coded(cube, place) {
  const known = (cube.codes ??= []);
  if (!known[place]) {
    const numbers = new Map();
    const of = cube.groups[place].map((value) => {
      if (!numbers.has(value)) numbers.set(value, numbers.size);
      return numbers.get(value);
    });
    known[place] = { of, size: numbers.size };
  }
  return known[place];
}

function add(cell, value, cube, i) {
  const [where, place] = value.at;
  if (value.op === "none") return;
  const x = (where === "group" ? cube.groups : cube.values)[place][i];
  if (x === null) return;
  if (value.op === "distinct") cell.seen.add(x);
  else if (value.op === "min") cell.total = cell.total === null ? x : Math.min(cell.total, x);
  else if (value.op === "max") cell.total = cell.total === null ? x : Math.max(cell.total, x);
  else {
    cell.total = (cell.total ?? 0) + x;
    cell.n += value.op === "mean" ? cube.values[value.over[1]][i] : 1;
  }
}

function result(cell, op) {
  if (op === "distinct") return cell.seen.size;
  if (op === "none") return null;
  return op === "mean" && cell.total !== null ? cell.total / cell.n : cell.total;
}

function element(kind, name, text) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

const number = (x) => x.toLocaleString("en", { maximumFractionDigits: 2 });
const moment = (x) => new Date(x).toISOString().slice(0, 16).replace("T", " ");

async function chart(visual, card) {
  const data = {};
  for (const [name, part] of Object.entries(visual.parts)) {
    let some = rows(visual, part);
    const measured = part.values.map((_, i) => `v${i}`);
    some = some.filter((row) => measured.some((name) => row[name] !== null));
    for (const row of some) for (const key in row) if (key[0] === "g") row[key] = safe(row[key]);
    data[name] = some;
  }
  if (Object.values(data).every((some) => some.length === 0) || (data.bars && data.bars.length === 0 && data.lines.length === 0)) return empty(card);
  const place = element("div", "chart");
  card.append(place);
  const narrow = card.clientWidth < 520;
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    width: "container", height: "container", autosize: { type: "fit", contains: "padding" },
    datasets: data, config: { ...CONFIG, legend: { ...CONFIG.legend, ...(narrow ? { orient: "bottom", columns: card.clientWidth < 380 ? 2 : 4 } : {}) } },
    ...visual.look.spec,
  };
  for (const layer of spec.layer ?? [spec]) paint(layer, visual);
  for (const layer of spec.layer ?? [spec]) if (layer.mark.type === "bar") widen(layer, Object.values(data).flat(), card);
  const { view } = await vegaEmbed(place, spec, {
    mode: "vega-lite", ast: true, actions: false, renderer: "canvas", defaultStyle: false,
    tooltip: (_, event, __, datum) => tell(event, datum, visual.look.tips),
  });
  const marks = {};
  (function count(node, inside) {
    for (const item of node.items ?? []) {
      if (node.role === "mark" && node.marktype !== "group") marks[node.marktype] = (marks[node.marktype] ?? 0) + 1;
      for (const child of item.items ?? []) count(child, inside);
    }
  })(view.scenegraph().root);
  card.dataset.marks = JSON.stringify(marks);
}

// A value that a chart can take as a name: no null, and not the one name that JavaScript objects cannot hold.
const safe = (value) => (value === null ? NONE : value === "__proto__" ? "__proto__\u2060" : value);

// One value has one color on all charts of a sheet: those of the longest list of values there that has all of this chart's.
function paint(layer, visual) {
  const color = layer.encoding?.color;
  if (color?.field !== "g1" || color.scale?.domain || color.type !== "nominal") return;
  const values = (one) => {
    const group = Object.values(one.parts)[0].groups[1];
    return group === undefined ? [] : [...new Set(cubes[one.cube].groups[group].map(safe))].sort();
  };
  const mine = values(visual), sheet = content.sheets.find((one) => one.visuals.includes(visual));
  const lists = sheet.visuals.map(values).filter((list) => mine.every((value) => list.includes(value)));
  const domain = lists.sort((a, b) => b.length - a.length)[0] ?? mine;
  layer.encoding = { ...layer.encoding, color: { ...color, scale: { domain, scheme: domain.length > 10 ? "tableau20" : "tableau10" } } };
}

// Bars over time are as wide as their step, never too thin to see nor wide as a barn.
function widen(layer, some, card) {
  if (layer.encoding.x?.type !== "temporal") return;
  const times = [...new Set(some.map((row) => row.g0))].sort((a, b) => a - b);
  const step = times.slice(1).reduce((least, time, i) => Math.min(least, time - times[i]), Infinity);
  const width = (0.8 * (card.clientWidth - 120) * step) / (times.at(-1) - times[0]);
  layer.mark = { ...layer.mark, width: Math.min(24, Math.max(2.5, Number.isFinite(width) ? width : 24)) };
}

// What a mark stands for, beside the pointer; nothing where it left.
function tell(event, datum, tips) {
  const box = document.getElementById("tooltip");
  const told = datum && tips.find((list) => list.every((tip) => tip.field in datum));
  box.hidden = !told;
  if (!told) return;
  box.replaceChildren(...told.map(({ field, title, time }) => {
    const value = datum[field], line = element("div");
    line.append(element("span", "", title), ` ${time ? moment(value) : typeof value === "number" ? number(value) : value}`);
    return line;
  }));
  box.style.left = `${Math.min(event.clientX + 12, innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${Math.min(event.clientY + 12, innerHeight - box.offsetHeight - 8)}px`;
}

function empty(card) {
  card.append(element("p", "empty", "Nothing here in this time window."));
  card.dataset.empty = "true";
}

function cell(value, kind) {
  const made = element("td");
  if (value === null || value === undefined) return made;
  if (kind === "time") { made.textContent = moment(value); made.className = "time"; }
  else if (typeof value === "number") { made.textContent = number(value); made.className = "number"; }
  else if (/^https:\/\//.test(value)) {
    const link = element("a", "", "open");
    link.href = value; link.target = "_blank"; link.rel = "noopener noreferrer"; link.title = value;
    made.append(link);
  } else made.textContent = value;
  return made;
}

function table(card, labels, body, note) {
  const scroll = element("div", "scroll"), made = element("table"), head = element("tr");
  for (const label of labels) head.append(element("th", "", label));
  const thead = element("thead"), tbody = element("tbody");
  thead.append(head);
  for (const cells of body) { const line = element("tr"); line.append(...cells); tbody.append(line); }
  made.append(thead, tbody);
  if (note) made.append(element("caption", "", note));
  scroll.append(made);
  card.append(scroll);
  card.dataset.marks = JSON.stringify({ row: body.length });
}

function list(visual, card) {
  const cube = cubes[visual.cube], { groups } = visual.parts.rows;
  if (!cube.rows) return empty(card);
  const body = Array.from({ length: cube.rows }, (_, i) => groups.map((place) => cell(cube.groups[place][i], cube.kinds[place])));
  table(card, visual.look.labels, body, cube.total > cube.rows ? `the first ${number(cube.rows)} of ${number(cube.total)} rows` : "");
}

function pivot(visual, card) {
  const { labels, descending, dates, most } = visual.look, width = visual.parts.rows.groups.length;
  const some = rows(visual, visual.parts.rows);
  if (!some.length) return empty(card);
  const rank = (x) => (x === null ? [1, 0] : [0, x]);
  some.sort((a, b) => {
    for (let i = 0; i < width; i++) {
      const [an, x] = rank(a[`g${i}`]), [bn, y] = rank(b[`g${i}`]);
      if (an !== bn) return an - bn;
      if (x !== y) return (x < y ? -1 : 1) * (descending.includes(i) ? -1 : 1);
    }
    return 0;
  });
  let last = {};
  const body = some.slice(0, most).map((row) => {
    let same = true;
    const cells = Array.from({ length: width }, (_, i) => {
      const value = row[`g${i}`], made = cell(value ?? NONE, dates.includes(i) && value !== null ? "time" : "");
      same = same && last[`g${i}`] === value;
      if (same && i < width - 1) made.classList.add("again");
      return made;
    });
    last = row;
    return [...cells, ...visual.parts.rows.values.map((_, i) => cell(row[`v${i}`]))];
  });
  table(card, labels, body, some.length > most ? `the first ${number(most)} of ${number(some.length)} rows` : "");
}

function kpi(visual, card) {
  const value = rows(visual, visual.parts.rows)[0]?.v0 ?? null;
  if (value === null) return empty(card);
  card.append(element("p", "kpi", number(value)));
  card.dataset.marks = JSON.stringify({ text: 1 });
}

const DRAW = { KPIVisual: kpi, TableVisual: list, PivotTableVisual: pivot };

async function show(id) {
  const mine = ++drawing;
  const sheet = content.sheets.find((one) => one.id === id) ?? content.sheets[0];
  document.body.removeAttribute("data-drawn");
  for (const tab of document.querySelectorAll("nav button")) tab.setAttribute("aria-selected", String(tab.dataset.sheet === sheet.id));
  controls(sheet);
  const main = document.getElementById("sheet");
  main.replaceChildren();
  const cards = sheet.visuals.map((visual) => {
    const card = element("section", "visual"), [at, wide, high] = visual.place;
    card.dataset.visual = visual.id;
    if (innerWidth > 900) card.style.gridColumn = `${at + 1} / span ${wide}`;
    card.style.height = `${high * ROW}px`;
    card.append(element("h2", "", visual.note ? `${visual.title} (${visual.note})` : visual.title));
    main.append(card);
    return card;
  });
  for (const [i, visual] of sheet.visuals.entries()) {
    if (mine !== drawing) return;
    await (DRAW[visual.kind] ?? chart)(visual, cards[i]);
  }
  document.body.dataset.drawn = sheet.id;
}

function controls(sheet) {
  const place = document.getElementById("controls");
  place.replaceChildren();
  for (const { column: name, title } of sheet.controls) {
    const values = new Set();
    for (const visual of sheet.visuals.filter((one) => one.controls.includes(name))) {
      const cube = cubes[visual.cube];
      for (const value of cube.groups[cube.at.get(name)]) values.add(value ?? NONE);
    }
    const select = element("select"), label = element("label", "", title);
    select.append(new Option("all", ""), ...[...values].sort().map((value) => new Option(value, `=${value}`)));
    select.value = chosen.has(name) ? `=${chosen.get(name)}` : "";
    select.addEventListener("change", () => {
      if (select.value) chosen.set(name, select.value.slice(1));
      else chosen.delete(name);
      go(sheet.id);
    });
    label.append(select);
    place.append(label);
  }
}

// The address says which sheet is open and what is chosen: #measure-views?platform=pc_web
function go(sheet) {
  const choice = new URLSearchParams([...chosen]).toString();
  location.hash = choice ? `${sheet}?${choice}` : sheet;
}

function arrive() {
  const [sheet, choice] = location.hash.slice(1).split("?");
  chosen.clear();
  for (const [name, value] of new URLSearchParams(choice ?? "")) chosen.set(name, value);
  return show(sheet);
}

async function main() {
  content = await unpack();
  cubes = content.cubes.map((cube) => ({
    rows: cube.rows, total: cube.total, groups: cube.groups.map(column), values: cube.values.map(column),
    kinds: cube.groups.map((packed) => packed.kind), at: new Map(cube.names.map((name, place) => [name, place])),
  }));
  document.querySelector("h1").textContent = content.title;
  document.getElementById("window").textContent = content.window.join(" to ");
  const tabs = document.querySelector("nav");
  for (const sheet of content.sheets) {
    const tab = element("button", "", sheet.name);
    tab.dataset.sheet = sheet.id;
    tab.setAttribute("role", "tab");
    tab.addEventListener("click", () => go(sheet.id));
    tabs.append(tab);
  }
  addEventListener("hashchange", arrive);
  await arrive();
}

main().catch((error) => {
  document.body.dataset.error = String(error);
  document.getElementById("sheet").append(element("p", "empty", `The page could not be drawn: ${error}`));
});
