// Shows a sheet: its visuals on the grid, and its drop-down lists. The page starts in main.

const GRID_ROW_PIXELS = 26;
const NARROW_PAGE_PIXELS = 900; // at most this wide, the page shows visuals one below the other (page.css)

// Draws the visuals that are not Vega-Lite charts.
const DRAW_FUNCTIONS = { KPIVisual: drawKpi, TableVisual: drawTable, PivotTableVisual: drawPivotTable };
let lastDrawing = 0; // the number of the newest drawing; an older one stops

async function showSheet(id) {
  const thisDrawing = ++lastDrawing;
  const sheet = content.sheets.find((candidate) => candidate.id === id) ?? content.sheets[0];
  document.body.removeAttribute("data-drawn");
  for (const tab of document.querySelectorAll("nav button")) {
    tab.setAttribute("aria-selected", String(tab.dataset.sheet === sheet.id));
  }
  showControls(sheet);
  const main = document.getElementById("sheet");
  main.replaceChildren();
  const cards = sheet.visuals.map(createCard);
  main.append(...cards);
  for (const [i, visual] of sheet.visuals.entries()) {
    if (thisDrawing !== lastDrawing) return;
    await (DRAW_FUNCTIONS[visual.kind] ?? drawChart)(visual, cards[i]);
  }
  document.body.dataset.drawn = sheet.id;
}

function createCard(visual) {
  const card = createElement("section", "visual"), [column, width, height] = visual.place;
  card.dataset.visual = visual.id;
  if (innerWidth > NARROW_PAGE_PIXELS) card.style.gridColumn = `${column + 1} / span ${width}`;
  card.style.height = `${height * GRID_ROW_PIXELS}px`;
  card.append(createElement("h2", "", visual.note ? `${visual.title} (${visual.note})` : visual.title));
  if (visual.subtitle) card.append(createElement("p", "subtitle", visual.subtitle));
  return card;
}

function showControls(sheet) {
  const container = document.getElementById("controls");
  container.replaceChildren();
  for (const { column, title } of sheet.controls) {
    const values = new Set();
    for (const visual of sheet.visuals.filter((candidate) => candidate.controls.includes(column))) {
      const cube = cubes[visual.cube];
      for (const value of cube.groups[cube.positions.get(column)]) values.add(value ?? NULL_LABEL);
    }
    const select = createElement("select"), label = createElement("label", "", title);
    select.append(new Option("all", ""), ...[...values].sort().map((value) => new Option(value, `=${value}`)));
    select.value = selections.has(column) ? `=${selections.get(column)}` : "";
    select.addEventListener("change", () => {
      if (select.value) selections.set(column, select.value.slice(1));
      else selections.delete(column);
      openSheet(sheet.id);
    });
    label.append(select);
    container.append(label);
  }
}

// Writes the open sheet and the selections to the address: #measure-views?platform=pc_web
function openSheet(id) {
  const query = new URLSearchParams([...selections]).toString();
  location.hash = query ? `${id}?${query}` : id;
}

// Shows the sheet and the selections that the address gives.
function showAddress() {
  const [id, query] = location.hash.slice(1).split("?");
  selections.clear();
  for (const [column, value] of new URLSearchParams(query ?? "")) selections.set(column, value);
  return showSheet(id);
}

async function main() {
  content = await readEmbeddedContent();
  cubes = content.cubes.map(unpackCube);
  document.querySelector("h1").textContent = content.title;
  document.getElementById("window").textContent = content.window.join(" to ");
  const tabs = document.querySelector("nav");
  for (const sheet of content.sheets) {
    const tab = createElement("button", "", sheet.name);
    tab.dataset.sheet = sheet.id;
    tab.setAttribute("role", "tab");
    tab.addEventListener("click", () => openSheet(sheet.id));
    tabs.append(tab);
  }
  addEventListener("hashchange", showAddress);
  await showAddress();
}

main().catch((error) => {
  document.body.dataset.error = String(error);
  document.getElementById("sheet").append(createElement("p", "empty", `The page could not be drawn: ${error}`));
});
