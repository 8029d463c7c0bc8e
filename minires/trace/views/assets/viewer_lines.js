"use strict";
// The road's lines, blocks closed or open, and the arcs between them.
const Lines = ({ panes, rows, groups, shown }, crossings, handed) => {
  // A line stands for rows first..last; the row it tells of is its last, the block's output.
  function lines(state) {
    const found = [];
    const here = (row) => shown(state).some((pane) => rows[row].steps[pane] !== null);
    // A line that holds others; open, they follow it.
    function hold(line, inside, depth, block) {
      const open = state.open.includes(line.id);
      found.push({ ...line, first: inside[0], last: inside.at(-1), row: inside.at(-1), holds: true, open });
      if (open) add(inside, depth, line.level + 1, block);
    }
    // Consecutive rows that spell out the same op lie under one line.
    function add(inside, depth, level, block) {
      for (let i = 0, j; i < inside.length; i = j) {
        const twin = twinOf(inside[i], depth);
        for (j = i + 1; twin && j < inside.length && twinOf(inside[j], depth) === twin;) j++;
        const line = rowLine(inside[i], level, block);
        if (j === i + 1) found.push(line);
        else if (j - i === inside.length) add(inside, depth + 1, level, block);
        else {
          const op = twin.split("/").pop().split(":")[0];
          hold({ ...line, id: `f${inside[i]}.${depth}`, op, detail: `spelled out in ${j - i} ops` }, inside.slice(i, j), depth + 1, block);
        }
      }
    }
    groups.forEach(([block, first, end], number) => {
      const inside = rows.map((_, row) => row).slice(first, end).filter(here);
      if (inside.length === 1) found.push(rowLine(inside[0], 0, block));
      else if (inside.length) hold({ id: `g${number}`, level: 0, where: block, op: "", detail: `${inside.length} ops` }, inside, 0, block);
    });
    return found;
  }

  function twinOf(row, depth) {
    const parts = (anyStep(row).twin_of || "").split("/").filter(Boolean);
    return depth < parts.length ? parts.slice(0, depth + 1).join("/") : "";
  }

  // The forward step of a row, in whichever pane has it.
  function anyStep(row) {
    const pane = rows[row].steps.findIndex((step) => step !== null);
    return panes[pane].forward[rows[row].steps[pane]];
  }

  function rowLine(row, level, path) {
    const step = anyStep(row);
    let where = step.module || "";
    if (level && where === path) where = "";
    else if (level && where.startsWith(path + ".")) where = where.slice(path.length + 1);
    const op = where.split(".").pop() === step.op ? "" : step.op;
    return { id: `r${row}`, level, first: row, last: row, row, where, op, detail: "", holds: false, open: false };
  }

  // The line that shows a row: the innermost, which comes after those that hold it.
  const placed = new WeakMap();
  function lineOf(all, row) {
    if (!placed.has(all)) {
      const at = rows.map(() => -1);
      all.forEach((line, index) => at.fill(index, line.first, line.last + 1));
      placed.set(all, at);
    }
    return placed.get(all)[row];
  }

  // The road: neighbours of which the second uses what the first made. The heading of open lines
  // lies on the way to the first of them.
  function ways(all, pane) {
    const across = new Set(crossings[pane].map(([from, to]) => `${lineOf(all, from)} ${lineOf(all, to)}`));
    const found = [];
    let last = null, headings = [];
    all.forEach((line, index) => {
      if (rowIn(line, pane) === null) return;
      if (line.open) return void headings.push(index);
      const goesOn = last !== null && (handed[pane].includes(rowIn(all[last], pane)) || across.has(`${last} ${index}`));
      const stops = [...(goesOn ? [last] : []), ...headings, index];
      for (let i = 1; i < stops.length; i++) found.push([stops[i - 1], stops[i]]);
      last = index;
      headings = [];
    });
    return found;
  }

  // Arcs between lines, each with the lowest lane that is free. Uses of one value share theirs.
  function arcs(all, pane) {
    const seen = new Map();
    for (const [from, to, value, side] of crossings[pane]) {
      const [start, end] = [lineOf(all, from), lineOf(all, to)];
      if (start < 0 || end < 0 || start === end) continue;
      // Between neighbours the road itself is the line, except for what goes around a block.
      if (end === start + 1 && side !== "shortcut") continue;
      const key = `${start} ${end} ${side}`;
      if (!seen.has(key)) seen.set(key, { start, end, side, value, to });
    }
    const found = [...seen.values()].sort((a, b) => a.start - b.start || a.end - b.end);
    const trunks = new Map();
    for (const span of found) {
      const key = span.side ? span : span.start;
      trunks.set(key, [...(trunks.get(key) || []), span]);
    }
    const length = (trunk) => trunk.at(-1).end - trunk[0].start;
    const taken = [];
    for (const trunk of [...trunks.values()].sort((a, b) => length(a) - length(b) || a[0].start - b[0].start)) {
      const from = trunk[0].start, to = trunk.at(-1).end;
      let lane = 0;
      while ((taken[lane] || []).some(([a, b]) => a < to && from < b)) lane++;
      (taken[lane] = taken[lane] || []).push([from, to]);
      for (const span of trunk) span.lane = lane;
    }
    return found;
  }

  // The row that stands for a line in one pane: the last that it has there; null if it has none.
  function rowIn(line, pane) {
    let row = line.last;
    while (row >= line.first && rows[row].steps[pane] === null) row--;
    return row < line.first ? null : row;
  }

  return { lines, lineOf, arcs, ways, rowIn };
};
if (typeof module !== "undefined") module.exports = Lines;
