"use strict";
// Elements of HTML and SVG, and tables.
const byId = (id) => document.getElementById(id);
const words = (...names) => names.filter(Boolean).join(" ");

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child || child === 0));
  return element;
}
const svg = (tag, attributes, ...children) =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
// An element: what follows its name is its class, or its attributes.
const h = (tag, about, ...children) =>
  filled(document.createElement(tag), typeof about === "string" ? { class: about } : about || {}, children);
const button = (text, onclick, about = {}) => h("button", { onclick, ...about }, text);

const path = (name, d) => svg("path", { class: name, d });
const circle = (name, cx, cy, r) => svg("circle", { class: name, cx, cy, r });
const rect = (name, x, y, width, height) => svg("rect", { class: name, x, y, width, height });
const label = (name, x, y, anchor, text) => svg("text", { class: name, x, y, "text-anchor": anchor }, text);

function table(caption, heads, rows, foot) {
  const row = (cells) => h("tr", "", cells.map((cell, i) => (i ? h("td", "", cell) : h("th", { scope: "row" }, cell))));
  return h("table", "", h("caption", "visually-hidden", caption),
    h("thead", "", h("tr", "", heads.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", "", rows.map(row)), foot && h("tfoot", "", row(foot)));
}

// A box that scrolls, also by keys.
const boxed = (name, id, content) => h("div", { class: "wide", role: "region", tabindex: 0, "aria-label": name, "data-id": id }, content);

// A table that is built when it is opened.
function twinTable(summary, name, id, build) {
  const details = h("details", { "data-id": id }, h("summary", { "data-id": `${id} head` }, summary));
  details.addEventListener("toggle", () => {
    if (details.open && !details.children[1]) details.append(boxed(name, `${id} box`, build()));
  });
  return details;
}

// Put something new into a section. What was open there stays open, and who was there with the
// keyboard stays: at what has the same data-id, else at the first button, else at the section.
function redraw(section, ...children) {
  const focused = document.activeElement;
  const id = section.contains(focused) ? focused.dataset.id || "" : null;
  const opened = [...section.querySelectorAll("details[open]")].map((details) => details.dataset.id);
  section.replaceChildren(...children);
  for (const details of section.querySelectorAll("details")) {
    if (!opened.includes(details.dataset.id)) continue;
    details.open = true;
    details.dispatchEvent(new Event("toggle"));
  }
  if (id === null) return;
  const same = [...section.querySelectorAll("[data-id]")].find((each) => each.dataset.id === id);
  (same || section.querySelector("button") || section).focus({ preventScroll: true });
}
