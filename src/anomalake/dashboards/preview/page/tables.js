// Draws tables, pivot tables and KPIs.

function drawKpi(visual, card) {
  const value = aggregateRows(visual, visual.parts.rows)[0]?.v0 ?? null;
  if (value === null) return drawEmptyCard(card);
  card.append(createElement("p", "kpi", formatNumber(value)));
  card.dataset.marks = JSON.stringify({ text: 1 });
}

function drawTable(visual, card) {
  const cube = cubes[visual.cube], { groups } = visual.parts.rows;
  if (!cube.rows) return drawEmptyCard(card);
  const createRow = (_, i) => groups.map((position) => createCell(cube.groups[position][i], cube.kinds[position]));
  const rows = Array.from({ length: cube.rows }, createRow);
  appendTable(card, visual.look.labels, rows, describeCut(cube.rows, cube.total));
}

function drawPivotTable(visual, card) {
  const { labels, descending, dates, most } = visual.look, width = visual.parts.rows.groups.length;
  const rows = aggregateRows(visual, visual.parts.rows);
  if (!rows.length) return drawEmptyCard(card);
  rows.sort((a, b) => comparePivotRows(a, b, width, descending));
  let previous = {};
  const body = rows.slice(0, most).map((row) => {
    let repeats = true; // the groups so far are those of the previous row: the table leaves them out
    const cells = Array.from({ length: width }, (_, i) => {
      const value = row[`g${i}`], isTime = dates.includes(i) && value !== null;
      const cell = createCell(value ?? NULL_LABEL, isTime ? "time" : "");
      repeats = repeats && previous[`g${i}`] === value;
      if (repeats && i < width - 1) cell.classList.add("again");
      return cell;
    });
    previous = row;
    return [...cells, ...visual.parts.rows.values.map((_, i) => createCell(row[`v${i}`]))];
  });
  appendTable(card, labels, body, describeCut(most, rows.length));
}

// Compares two rows by their groups; null comes last.
function comparePivotRows(a, b, width, descending) {
  for (let i = 0; i < width; i++) {
    const x = a[`g${i}`], y = b[`g${i}`];
    if ((x === null) !== (y === null)) return x === null ? 1 : -1;
    if (x !== y) return (x < y ? -1 : 1) * (descending.includes(i) ? -1 : 1);
  }
  return 0;
}

function describeCut(shown, total) {
  return total > shown ? `the first ${formatNumber(shown)} of ${formatNumber(total)} rows` : "";
}

function createCell(value, kind) {
  const cell = createElement("td");
  if (value === null || value === undefined) return cell;
  if (kind === "time") { cell.textContent = formatTime(value); cell.className = "time"; }
  else if (typeof value === "number") { cell.textContent = formatNumber(value); cell.className = "number"; }
  else if (/^https:\/\//.test(value)) {
    const link = createElement("a", "", "open");
    link.href = value; link.target = "_blank"; link.rel = "noopener noreferrer"; link.title = value;
    cell.append(link);
  } else cell.textContent = value;
  return cell;
}

function appendTable(card, labels, rows, caption) {
  const scroll = createElement("div", "scroll"), table = createElement("table"), head = createElement("tr");
  for (const label of labels) head.append(createElement("th", "", label));
  const thead = createElement("thead"), tbody = createElement("tbody");
  thead.append(head);
  for (const cells of rows) { const line = createElement("tr"); line.append(...cells); tbody.append(line); }
  table.append(thead, tbody);
  if (caption) table.append(createElement("caption", "", caption));
  scroll.append(table);
  card.append(scroll);
  card.dataset.marks = JSON.stringify({ row: rows.length });
}
