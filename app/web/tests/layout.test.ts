// @vitest-environment node
import { describe, expect, test } from 'vitest';
import { Layout } from '../src/lib/gallery/layout';
import { neighbour } from '../src/lib/gallery/neighbour';

const OPTIONS = { width: 1200, rowHeight: 220, gap: 6, headingHeight: 44 };

/** The same pictures on every run, of proportions such as pictures have. */
function pictures(count: number, perGroup = 500): { aspect: number; group: string }[] {
  let seed = 1;
  return Array.from({ length: count }, (_, index) => {
    seed = (seed * 48271) % 2147483647;
    return { aspect: 0.3 + (seed % 300) / 100, group: String(Math.floor(index / perGroup)) };
  });
}

function laidOut(count: number, perGroup?: number): Layout {
  const layout = new Layout(OPTIONS);
  layout.append(pictures(count, perGroup));
  return layout;
}

describe('rows', () => {
  test('fill the width, but for the last of a group, and hold every picture once', () => {
    const layout = laidOut(2000);
    let next = 0;
    let bottom = 0;
    for (let number = 0; number < layout.rowCount; number++) {
      const row = layout.row(number);
      expect(row.first).toBe(next);
      expect(row.top).toBeCloseTo(bottom);
      next += row.count;
      bottom = row.top + row.height + OPTIONS.gap;
      if (row.count === 0) continue;
      const last = layout.boxes(row).at(-1);
      const right = (last?.left ?? 0) + (last?.width ?? 0);
      const isLastOfGroup = next % 500 === 0;
      if (isLastOfGroup) expect(right).toBeLessThan(OPTIONS.width + 0.01);
      else expect(Math.abs(right - OPTIONS.width)).toBeLessThan(0.01);
      expect(row.height).toBeGreaterThan(60);
      expect(row.height).toBeLessThan(440);
    }
    expect(next).toBe(2000);
  });

  test('stay where they are when pictures are added at the end', () => {
    const whole = laidOut(1000, 300);
    const grown = new Layout(OPTIONS);
    const all = pictures(1000, 300);
    for (let start = 0; start < all.length; start += 37) grown.append(all.slice(start, start + 37));
    const rows = (layout: Layout): unknown[] => Array.from({ length: layout.rowCount }, (_, number) => layout.row(number));
    expect(rows(grown)).toEqual(rows(whole));
  });

  test('are found by position and by picture', () => {
    const layout = laidOut(3000);
    for (let number = 0; number < layout.rowCount; number += 7) {
      const row = layout.row(number);
      expect(layout.rowAt(row.top)).toBe(number);
      expect(layout.rowAt(row.top + row.height)).toBe(number);
      if (row.count > 0) expect(layout.rowOf(row.first + row.count - 1)).toBe(number);
    }
    expect(layout.rowAt(-10)).toBe(0);
    expect(layout.rowAt(1e12)).toBe(layout.rowCount - 1);
  });

  test('of a phone show a panorama and a tall screenshot', () => {
    const layout = new Layout({ width: 360, rowHeight: 130, gap: 2, headingHeight: 44 });
    layout.append([12, 0.05, 1, 1].map((aspect) => ({ aspect, group: 'a' })));
    for (const box of layout.boxes(layout.row(1))) expect(box.left + box.width).toBeLessThan(360.01);
    expect(layout.height).toBeGreaterThan(100);
  });

  test('are settled when nothing that is added can change them', () => {
    const layout = laidOut(1003, 5000);
    const settled = Array.from({ length: layout.settledRowCount }, (_, number) => layout.row(number));
    layout.append(pictures(400, 5000));
    expect(settled.map((_, number) => layout.row(number))).toEqual(settled);
  });

  test('of nothing have no height', () => {
    expect(new Layout(OPTIONS).height).toBe(0);
  });
});

test('arrow keys visit every row of a gallery, over headings, and end at its ends', () => {
  const layout = laidOut(1200, 100);
  let index = 0;
  const rows = new Set([layout.rowOf(0)]);
  for (;;) {
    const below = neighbour(layout, index, 'ArrowDown') ?? -1;
    if (below === index) break;
    expect(below).toBeGreaterThan(index);
    index = below;
    rows.add(layout.rowOf(index));
  }
  const withPictures = Array.from({ length: layout.rowCount }, (_, number) => layout.row(number)).filter((row) => row.count > 0);
  expect(rows.size).toBe(withPictures.length);
  expect(neighbour(layout, 0, 'ArrowUp')).toBe(0);
  expect(neighbour(layout, 0, 'ArrowLeft')).toBe(0);
  expect(neighbour(layout, 5, 'ArrowRight')).toBe(6);
  expect(neighbour(layout, 5, 'End')).toBe(1199);
  expect(neighbour(layout, 5, 'x')).toBeNull();
});

test('pictures that are put in front leave the rows below a seam as they are', () => {
  const all = pictures(600, 10_000);
  const rowsOf = (layout: Layout): string[] =>
    Array.from({ length: layout.settledRowCount }, (_, number) => layout.row(number)).filter((row) => row.count > 0).map(({ count, height }) => `${count} ${height.toFixed(2)}`);
  for (let size = 1; size < 130; size += 3) {
    const below = new Layout(OPTIONS);
    below.append(all.slice(size));
    const both = new Layout(OPTIONS);
    both.append(all.map((picture, index) => ({ ...picture, isSeam: index === size })));
    const [old, now] = [rowsOf(below), rowsOf(both)];
    expect(now.slice(-old.length)).toEqual(old);
    // All are there, each row is full, and none is much too high or low; but a few pictures alone keep the wanted height.
    let next = 0;
    for (let number = 0; number < both.settledRowCount; number++) {
      const row = both.row(number);
      expect(row.first).toBe(next);
      next += row.count;
      if (row.count === 0) continue;
      expect(row.height).toBeLessThanOrEqual(OPTIONS.rowHeight * 1.7);
      expect(row.height).toBeGreaterThan(60);
      const last = both.boxes(row).at(-1);
      if (next > 6) expect((last?.left ?? 0) + (last?.width ?? 0)).toBeCloseTo(OPTIONS.width, 0);
    }
  }
});
