import Panzoom from '@panzoom/panzoom';
import type { Action } from 'svelte/action';

interface Steps {
  back: () => void;
  forth: () => void;
}

const MOST = 8;
const DOUBLE_CLICK = 2.5;
/** A swipe is this wide at least, in pixels. */
const SWIPE = 60;

/** Zoom by wheel, pinch, double click and + - 0; while it is not zoomed, a swipe goes to the neighbour. */
export const zoomable: Action<HTMLElement, Steps> = (node, steps) => {
  let { back, forth } = steps;
  const panzoom = Panzoom(node, { maxScale: MOST, minScale: 1, panOnlyWhenZoomed: true, step: 0.4, cursor: 'default' });
  const area = node.parentElement ?? node;
  const listening = new AbortController();
  const { signal } = listening;
  const pointers = new Set<number>();
  let start: { x: number; y: number } | null = null;

  const settle = (): void => {
    const scale = panzoom.getScale();
    if (scale <= 1.01) panzoom.reset();
    panzoom.setOptions({ cursor: scale > 1.01 ? 'grab' : 'default' });
  };

  area.addEventListener(
    'wheel',
    (event) => {
      panzoom.zoomWithWheel(event);
      settle();
    },
    { signal, passive: false },
  );
  node.addEventListener(
    'dblclick',
    (event) => {
      if (panzoom.getScale() > 1.01) panzoom.reset();
      else panzoom.zoomToPoint(DOUBLE_CLICK, event, { animate: true });
      settle();
    },
    { signal },
  );
  area.addEventListener(
    'pointerdown',
    (event) => {
      pointers.add(event.pointerId);
      start = pointers.size === 1 && panzoom.getScale() <= 1.01 ? { x: event.clientX, y: event.clientY } : null;
    },
    { signal, capture: true },
  );
  for (const name of ['pointerup', 'pointercancel'] as const) {
    addEventListener(
      name,
      (event) => {
        pointers.delete(event.pointerId);
        if (start && name === 'pointerup') {
          const [x, y] = [event.clientX - start.x, event.clientY - start.y];
          if (Math.abs(x) > SWIPE && Math.abs(x) > 2 * Math.abs(y)) (x > 0 ? back : forth)();
        }
        start = null;
      },
      { signal },
    );
  }
  addEventListener(
    'keydown',
    (event) => {
      if ((event.target as HTMLElement).matches('input, textarea, select')) return;
      if (event.key === '+' || event.key === '=') panzoom.zoomIn();
      else if (event.key === '-') panzoom.zoomOut();
      else if (event.key === '0') panzoom.reset();
      else return;
      settle();
    },
    { signal },
  );

  return {
    update: (changed) => ({ back, forth } = changed),
    destroy: () => {
      listening.abort();
      panzoom.destroy();
    },
  };
};
