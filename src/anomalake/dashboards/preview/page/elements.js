// Elements of the page and the format of numbers and times.

function createElement(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// Numbers have two decimal places; those below 1, such as ratios, have three significant figures.
const formatNumber = (x) =>
  x.toLocaleString("en", Math.abs(x) < 1 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 2 });
const formatTime = (x) => new Date(x).toISOString().slice(0, 16).replace("T", " ");

function drawEmptyCard(card) {
  card.append(createElement("p", "empty", "Nothing here in this time window."));
  card.dataset.empty = "true";
}
