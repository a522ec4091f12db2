// What the scripts of all pages begin with.
const data = JSON.parse(document.getElementById('data').textContent);
const {facts, images} = data;
const byId = name => document.getElementById(name);

// Text only ever enters as text.
function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}
const shown = (number, digits = 2) => number === null ? '–' : number.toFixed(digits);
const percent = share => share === null ? '–' : (100 * share).toFixed(1) + ' %';
const count = number => number.toLocaleString('en');

function image(id) {
  const [path, label, cluster, tail, trouble] = images[id];
  return {id, path, label, cluster, tail, trouble, name: label === null ? null : data.labels[label] ?? String(label)};
}

function picture(of, description) {
  if (of.tail === null) {
    const lost = make('div', 'lost', 'unreadable');
    lost.title = of.trouble ?? '';
    return lost;
  }
  const img = make('img');
  img.src = 'data:image/jpeg;base64,' + data.head + of.tail;
  img.alt = description;
  img.decoding = 'async';
  return img;
}
