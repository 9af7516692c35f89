// @vitest-environment node
import { beforeAll, describe, expect, test } from 'vitest';
import { Layout } from '../src/lib/gallery/layout';
import { ScrollMap, TALLEST } from '../src/lib/gallery/scroll-map';

const VIEWPORT = 900;

test('a content that browsers can show is scrolled as it is', () => {
  const map = new ScrollMap();
  map.resize(50_000, VIEWPORT);
  map.scroll(12_345);
  expect([map.position, map.offset, map.height]).toEqual([12_345, 0, 50_000]);
});

describe('a million pictures', () => {
  const layout = new Layout({ width: 1200, rowHeight: 220, gap: 6, headingHeight: 44 });
  const map = new ScrollMap();

  beforeAll(() => {
    const page = Array.from({ length: 100 }, (_, index) => ({ aspect: 0.7 + (index % 9) / 10, group: 'a' }));
    for (let pages = 0; pages < 10_000; pages++) layout.append(page);
    map.resize(layout.height, VIEWPORT);
  });

  test('are taller than browsers can show, and the element is not', () => {
    expect(layout.length).toBe(1_000_000);
    expect(layout.height).toBeGreaterThan(2 ** 24);
    expect(map.height).toBe(TALLEST);
  });

  test('are all reachable: the first, the last, and each by its position', () => {
    map.scroll(0);
    expect(layout.row(layout.rowAt(map.position)).first).toBe(0);
    map.scroll(map.height - VIEWPORT);
    const last = layout.row(layout.rowAt(map.position + VIEWPORT));
    expect(last.first + last.count).toBe(1_000_000);
    for (let number = 0; number < layout.rowCount; number += 997) {
      const { top } = layout.row(number);
      const scrollTop = map.go(top);
      const inElement = top - map.offset - scrollTop;
      expect(scrollTop).toBeLessThanOrEqual(TALLEST - VIEWPORT);
      expect(inElement).toBeGreaterThanOrEqual(-1);
      expect(inElement).toBeLessThanOrEqual(VIEWPORT);
    }
  });

  test('move by as many pixels as the wheel says, without end before the last one', () => {
    let scrollTop = map.go(0);
    let steps = 0;
    let stuck = 0;
    while (map.position < layout.height - VIEWPORT - 1 && steps < 200_000) {
      const before = map.position;
      scrollTop = Math.min(scrollTop + 800, map.height - VIEWPORT);
      map.scroll(scrollTop);
      if (map.position <= before) stuck++;
      // The wheel rests now and then.
      if (++steps % 20 === 0) scrollTop = map.settle();
    }
    expect(stuck).toBe(0);
    expect(map.position).toBeCloseTo(layout.height - VIEWPORT, -1);
  });

  test('stay where they are when the element settles', () => {
    map.go(20_000_000);
    const before = map.position;
    map.scroll(map.settle() + 500);
    expect(map.position).toBeCloseTo(before + 500, 0);
    const moved = map.position;
    map.settle();
    expect(map.position).toBe(moved);
  });
});
