// The data of the page: unpacks what is embedded, and filters and aggregates it for one visual.
// html.py joins the files of this folder to one script: data.js, elements.js, charts.js, tables.js, sheets.js.

// What stands for null. The invisible word joiner distinguishes it from the text "(none)".
const NULL_LABEL = "\u2060(none)";

const selections = new Map(); // column -> selected value, of the drop-down lists
let content, cubes;

async function readEmbeddedContent() {
  const bytes = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

// Returns the values of a column that packing.py packed: numbers, texts, or times in milliseconds.
function unpackColumn(packed) {
  if (packed.kind === "number") return packed.data;
  if (packed.kind === "text") {
    return packed.data.map((position) => (position === null ? null : packed.values[position]));
  }
  let minutes = 0;
  return packed.data.map((difference) => (difference === null ? null : (minutes += difference) * 60000));
}

function unpackCube(cube) {
  return {
    rows: cube.rows,
    total: cube.total,
    groups: cube.groups.map(unpackColumn),
    values: cube.values.map(unpackColumn),
    kinds: cube.groups.map((packed) => packed.kind),
    positions: new Map(cube.names.map((name, position) => [name, position])), // column -> position in groups
  };
}

// Returns the rows of one part of a visual, without what the drop-down lists exclude: g0, g1, ... are its groups and
// v0, v1, ... its values. A value is a formula of totals.
function aggregateRows(visual, part) {
  const cube = cubes[visual.cube];
  const conditions = visual.controls.filter((name) => selections.has(name))
    .map((name) => [cube.groups[cube.positions.get(name)], selections.get(name)]);
  const groups = part.groups.map((position) => cube.groups[position]);
  const codes = part.groups.map((position) => encodeGroup(cube, position));
  const rowsByKey = new Map();
  for (let i = 0; i < cube.rows; i++) {
    if (conditions.some(([values, selected]) => (values[i] ?? NULL_LABEL) !== selected)) continue;
    let key = 0;
    for (const code of codes) key = key * code.size + code.numbers[i];
    let row = rowsByKey.get(key);
    if (!row) {
      row = { keys: groups.map((values) => values[i]), totals: part.totals.map(startTotal) };
      rowsByKey.set(key, row);
    }
    part.totals.forEach((total, position) => addToTotal(row.totals[position], total, cube, i));
  }
  return [...rowsByKey.values()].map((row) => {
    const record = {};
    row.keys.forEach((key, position) => (record[`g${position}`] = key));
    const totals = row.totals.map((total, position) => finishTotal(total, part.totals[position].op));
    part.values.forEach((formula, position) => (record[`v${position}`] = evaluate(formula, totals)));
    return record;
  });
}

// Returns the group's values as numbers from 0, computed once, so that a row's key is a number.
function encodeGroup(cube, position) {
  cube.codes ??= [];
  if (!cube.codes[position]) {
    const numberOf = new Map();
    const numbers = cube.groups[position].map((value) => {
      if (!numberOf.has(value)) numberOf.set(value, numberOf.size);
      return numberOf.get(value);
    });
    cube.codes[position] = { numbers, size: numberOf.size };
  }
  return cube.codes[position];
}

function startTotal({ op }) {
  return { count: 0, result: null, distinct: op === "distinct" ? new Set() : null };
}

function addToTotal(total, { op, at, over }, cube, i) {
  const [source, position] = at;
  const x = (source === "group" ? cube.groups : cube.values)[position][i];
  if (x === null) return;
  if (op === "distinct") total.distinct.add(x);
  else if (op === "min") total.result = total.result === null ? x : Math.min(total.result, x);
  else if (op === "max") total.result = total.result === null ? x : Math.max(total.result, x);
  else {
    total.result = (total.result ?? 0) + x;
    total.count += op === "mean" ? cube.values[over[1]][i] : 1;
  }
}

function finishTotal(total, op) {
  if (op === "distinct") return total.distinct.size;
  return op === "mean" && total.result !== null ? total.result / total.count : total.result;
}

const OPERATIONS = {
  "+": (a, b) => a + b,
  "-": (a, b) => (b === undefined ? -a : a - b),
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  abs: Math.abs,
  sqrt: Math.sqrt,
};

// Returns the value of a formula (calculated_fields.py); null if an operand is null or the result is not finite.
function evaluate(formula, totals) {
  if (typeof formula === "number") return formula;
  const [operation, ...operands] = formula;
  if (operation === "total") return totals[operands[0]];
  const numbers = operands.map((operand) => evaluate(operand, totals));
  if (numbers.includes(null)) return null;
  const result = OPERATIONS[operation](...numbers);
  return Number.isFinite(result) ? result : null;
}
