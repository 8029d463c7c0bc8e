"use strict";
// Numbers as words, and where they lie on an axis.
const Words = (() => {
  const SUPER = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  const superscript = (n) => String(n).replace(/./g, (c) => SUPER[c]);
  const missing = (x) => x === null || x === undefined;
  const minus = (text) => text.replace("-", "−");

  function format(x, digits = 3) {
    if (missing(x)) return "–";
    const n = Number(x);
    if (Number.isNaN(n)) return "NaN";
    if (!Number.isFinite(n)) return n > 0 ? "∞" : "−∞";
    if (n === 0) return "0";
    const size = Math.abs(n);
    if (size >= 1e-3 && size < 1e5) {
      const text = n.toPrecision(digits);
      return minus(text.includes("e") ? String(Math.round(n)) : text);
    }
    const [head, power] = n.toExponential(digits - 1).split("e");
    return minus(`${head}×10${superscript(Number(power))}`);
  }

  const percent = (x) => minus(`${(100 * x).toFixed(1)} %`);
  const share = (x) => (missing(x) ? "no share" : minus(Number(x).toFixed(3).replace(/^-(0\.0+)$/, "$1")));

  function amount(x, unit, base, prefixes) {
    let i = 0;
    for (; x >= base && i < prefixes.length - 1; i++) x /= base;
    return `${i ? x.toPrecision(3) : x} ${prefixes[i]}${unit}`;
  }
  const bytes = (x) => amount(x, "B", 1024, ["", "Ki", "Mi", "Gi"]);
  const flops = (x) => amount(x, "FLOP", 1000, ["", "k", "M", "G", "T"]);
  const time = (s) => (s < 1e-3 ? `${format(s * 1e6)} µs` : s < 1 ? `${format(s * 1e3)} ms` : `${format(s)} s`);

  // A scale that holds all sizes: whole decades, or from 0 to the largest.
  function domain(sizes, scale = "log") {
    let lo = Infinity, hi = 0;
    for (const size of sizes) {
      if (missing(size) || !Number.isFinite(size) || size <= 0) continue;
      lo = Math.min(lo, size);
      hi = Math.max(hi, size);
    }
    if (scale !== "log") return { scale, lo: 0, hi: hi || 1 };
    if (!hi) return { scale, lo: 1e-3, hi: 1 };
    // Farther out than this, a power of ten is no normal number, or none at all.
    const within = (power) => Math.max(-307, Math.min(307, power));
    const low = within(Math.floor(Math.log10(lo) + 1e-9)), high = within(Math.ceil(Math.log10(hi) - 1e-9));
    return { scale, lo: 10 ** low, hi: 10 ** Math.max(high, low + 1) };
  }

  // Where a size lies: 0 to 1 along the axis, or a mark that stands outside of it.
  function place(size, { scale, lo, hi }) {
    if (missing(size)) return { mark: "" };
    if (!Number.isFinite(size)) return { mark: format(size) };
    if (scale !== "log") return { at: (size - lo) / (hi - lo) };
    if (size === 0) return { mark: "0" };
    const [from, to] = [lo, hi].map(Math.log10);
    return { at: Math.max(0, Math.min(1, (Math.log10(size) - from) / (to - from))) };
  }

  // The axis’ ticks and their labels.
  function ticks({ scale, lo, hi }) {
    if (scale !== "log") return [0, 0.25, 0.5, 0.75, 1].map((part) => [part * hi, format(part * hi, 2)]);
    const [from, to] = [lo, hi].map((size) => Math.round(Math.log10(size)));
    const each = Math.ceil((to - from + 1) / 24);
    return Array.from({ length: Math.floor((to - from) / each) + 1 }, (_, i) => from + i * each)
      .map((power) => [10 ** power, `10${superscript(power)}`]);
  }

  return { format, percent, share, bytes, flops, time, domain, place, ticks };
})();
if (typeof module !== "undefined") module.exports = Words;
