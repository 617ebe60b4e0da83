/**
 * Horizontal bars in groups, in panels side by side, as one SVG file: plain shapes and text, on a ground of its own, so that
 * it can be read on a light page and on a dark one. No scripts, no fonts, no links.
 */

export interface Bar {
  readonly label: string;
  /** Its length; 0 or more. */
  readonly value: number;
  /** Behind the bar. */
  readonly text: string;
  /** Drawn in the strong colour. */
  readonly strong?: boolean;
}

export interface Panel {
  readonly title: string;
  /** As many in each panel, with bars of the same labels: labels stand in the first panel alone. */
  readonly groups: readonly { readonly title: string; readonly bars: readonly Bar[] }[];
}

export interface Chart {
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly footnote: string;
}

const margin = 20;
const labelWidth = 120;
const panelWidth = 360;
const panelGap = 24;
/** Room for the text behind the longest bar. */
const textWidth = 116;
const barHeight = 14;
const barStep = 19;
const groupGap = 34;
const firstGroupAt = 96;

const style = `
    .ground { fill: #ffffff; stroke: #d0d7de }
    text { font: 12px system-ui, sans-serif; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 }
    .group, .panel { font-weight: 600 }
    .note { fill: #59636e; font-size: 11px }
    .bar { fill: #afb8c1 }
    .strong { fill: #0969da }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117; stroke: #3d444d }
      text { fill: #f0f6fc }
      .note { fill: #9198a1 }
      .bar { fill: #57606a }
      .strong { fill: #4493f8 }
    }
`;

export function drawChart({ title, panels, footnote }: Chart): string {
  const width = 2 * margin + labelWidth + panels.length * (panelWidth + panelGap) - panelGap;
  const groups = panels[0]?.groups ?? [];
  const height = firstGroupAt + groups.reduce((sum, { bars }) => sum + bars.length * barStep + groupGap, 0) + 20;
  const parts = [
    `<rect class="ground" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6"/>`,
    text(margin, 32, title, "title"),
    ...panels.flatMap((panel, index) =>
      drawPanel(panel, margin + labelWidth + index * (panelWidth + panelGap), index === 0),
    ),
    text(margin, height - 16, footnote, "note"),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">`,
    `  <style>${style}  </style>`,
    ...parts.map((part) => `  ${part}`),
    "</svg>",
    "",
  ].join("\n");
}

function drawPanel({ title, groups }: Panel, x: number, labelled: boolean): string[] {
  const longest = Math.max(...groups.flatMap(({ bars }) => bars.map(({ value }) => value)), Number.MIN_VALUE);
  const parts = [text(x, 62, title, "panel")];
  let y = firstGroupAt;
  for (const group of groups) {
    if (labelled) parts.push(text(margin, y - 8, group.title, "group"));
    for (const { label, value, text: behind, strong = false } of group.bars) {
      const length = round((value / longest) * (panelWidth - textWidth));
      if (labelled) parts.push(text(x - 10, y + 11, label, strong ? "group" : "label", "end"));
      parts.push(
        `<rect class="${strong ? "strong" : "bar"}" x="${x}" y="${y}" width="${Math.max(length, 1)}" height="${barHeight}" rx="2"/>`,
        text(round(x + Math.max(length, 1) + 6), y + 11, behind, strong ? "group" : "label"),
      );
      y += barStep;
    }
    y += groupGap;
  }
  return parts;
}

function text(x: number, y: number, content: string, name: string, anchor = "start"): string {
  const end = anchor === "start" ? "" : ` text-anchor="${anchor}"`;
  return `<text class="${name}" x="${x}" y="${y}"${end}>${escape(content)}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
