import { expect, it } from "vitest";
import { drawChart } from "./bar-chart.ts";

const chart = drawChart({
  title: 'Bread & <butter> "first"',
  footnote: "a note",
  panels: [
    {
      title: "rate",
      groups: [
        {
          title: "small",
          bars: [
            { label: "slow", value: 1, text: "1/s" },
            { label: "fast", value: 4, text: "4/s", strong: true },
            { label: "dead", value: 0, text: "0/s" },
          ],
        },
      ],
    },
  ],
});

const widths = [...chart.matchAll(/<rect class="(bar|strong)" .*? width="([\d.]+)"/g)].map(([, name, width]) => ({
  name,
  width: Number(width),
}));

it("draws lengths in proportion to the longest of the panel, and something for nothing", () => {
  expect(widths.map(({ name }) => name)).toEqual(["bar", "strong", "bar"]);
  const [slow, fast, dead] = widths.map(({ width }) => width) as [number, number, number];
  expect(fast / slow).toBeCloseTo(4, 1);
  expect(fast).toBeLessThan(360); // the panel's width
  expect(dead).toBe(1);
});

it("keeps text from becoming markup", () => {
  expect(chart).toContain("Bread &amp; &lt;butter&gt; &quot;first&quot;");
  expect(chart).not.toContain("<butter>");
});

it("brings its own ground and both colour schemes", () => {
  expect(chart).toContain('class="ground"');
  expect(chart).toContain("prefers-color-scheme: dark");
});
