'use strict';

/** The scenarios as an HTML page with bars in SVG. */

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const shown = (value) => (value < 10 ? value.toFixed(2) : Math.round(value).toLocaleString('en'));

const BAR = 22;
const LABEL = 300;
const WIDTH = 420;

/** @param {import('./harness').Scenario} scenario */
function bars({ name, unit, rows, ratios }) {
  const most = Math.max(...rows.map(({ value }) => value));
  const lines = rows.map((row, i) => {
    const y = i * BAR;
    const length = Math.max(1, row.value / most * WIDTH);
    const ours = /node-asgi|handleRequest/.test(row.name);
    return `<text x="${LABEL - 8}" y="${y + 15}" text-anchor="end">${escape(row.name)}</text>` +
      `<rect x="${LABEL}" y="${y + 3}" width="${length.toFixed(1)}" height="${BAR - 6}" fill="${ours ? '#2a7' : '#999'}"/>` +
      `<text x="${(LABEL + length + 6).toFixed(1)}" y="${y + 15}">${shown(row.value)} <tspan class="note">${escape(row.notes)}</tspan></text>`;
  });
  const told = ratios.map(({ id, text, value, target }) => `<p>${id}: ${escape(text)} = ${shown(value)} (target ${escape(target)})</p>`);
  return `<h2>${escape(name)}${unit && `, ${escape(unit)}`}</h2>\n<svg width="1200" height="${rows.length * BAR}" role="img">` +
    `${lines.join('\n')}</svg>\n${told.join('\n')}`;
}

/** @param {string} machine @param {import('./harness').Scenario[]} scenarios @param {string[]} skipped */
function page(machine, scenarios, skipped) {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>node-asgi bench</title>
<style>body { font: 14px sans-serif; margin: 2em } .note { fill: #777; font-size: 12px } h2 { font-size: 16px; margin: 1.5em 0 .5em }</style>
<h1>node-asgi</h1><p>${escape(machine)}</p>
${scenarios.map(bars).join('\n')}
${skipped.map((what) => `<p>skipped ${escape(what)}</p>`).join('\n')}
</html>
`;
}

module.exports = { page };
