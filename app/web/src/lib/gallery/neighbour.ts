import type { Layout } from './layout';

/** The picture to which a key leads from another one; `null` if the key does not move. */
export function neighbour(layout: Layout, index: number, key: string): number | null {
  const last = layout.length - 1;
  switch (key) {
    case 'ArrowLeft':
      return Math.max(index - 1, 0);
    case 'ArrowRight':
      return Math.min(index + 1, last);
    case 'ArrowUp':
      return inRow(layout, index, -1);
    case 'ArrowDown':
      return inRow(layout, index, 1);
    case 'Home':
      return 0;
    case 'End':
      return last;
    default:
      return null;
  }
}

/** The picture above or below: the one under whose middle this one's middle is. */
function inRow(layout: Layout, index: number, step: 1 | -1): number {
  const own = layout.rowOf(index);
  let number = own + step;
  while (number >= 0 && number < layout.rowCount && layout.row(number).count === 0) number += step;
  if (number < 0 || number >= layout.rowCount) return index;
  const box = layout.boxes(layout.row(own)).find((box) => box.index === index);
  const middle = box ? box.left + box.width / 2 : 0;
  const boxes = layout.boxes(layout.row(number));
  return boxes.find((box) => box.left + box.width >= middle)?.index ?? boxes.at(-1)?.index ?? index;
}
