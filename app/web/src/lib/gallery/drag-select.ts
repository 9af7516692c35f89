import type { Action } from 'svelte/action';

/** A press that moves less than this, in pixels, is a click. */
const CLICK_PX = 6;

/** This near to the edge of what is seen, in pixels, the gallery scrolls; the nearer, the faster. */
const EDGE_PX = 60;

/** In pixels for each frame. */
const FASTEST = 24;

/** Is called with the index of a tile. */
interface Select {
  /** The mouse was pressed on it. */
  begin: (index: number) => void;
  /** The pressed mouse has come to it. */
  over: (index: number) => void;
}

/**
 * Selects by dragging the mouse from tile to tile. At the upper and the lower edge of the element around the list it scrolls. A finger
 * scrolls instead.
 */
export const dragSelect: Action<HTMLElement, Select> = (list, select) => {
  let drag: { to: number; x: number; y: number; isMoving: boolean } | null = null;
  let frame = 0;

  function onpointerdown(event: PointerEvent): void {
    if (event.pointerType !== 'mouse' || event.button !== 0 || event.shiftKey) return;
    const isOnTile = event.target instanceof Element && event.target.closest('li') !== null;
    const from = isOnTile ? indexAt(event.clientX, event.clientY) : null;
    if (from === null) return;
    select.begin(from);
    drag = { to: -1, x: event.clientX, y: event.clientY, isMoving: false };
    addEventListener('pointermove', onpointermove);
    addEventListener('pointerup', end);
    addEventListener('pointercancel', end);
  }

  function onpointermove({ clientX, clientY }: PointerEvent): void {
    if (!drag) return;
    if (!drag.isMoving && Math.hypot(clientX - drag.x, clientY - drag.y) < CLICK_PX) return;
    Object.assign(drag, { x: clientX, y: clientY });
    if (!drag.isMoving) {
      drag.isMoving = true;
      addEventListener('selectstart', prevent);
      frame = requestAnimationFrame(scroll);
    }
    update();
  }

  function update(): void {
    if (!drag) return;
    const { top, bottom } = seen();
    const to = indexAt(drag.x, Math.min(Math.max(drag.y, top + 1), bottom - 1));
    if (to === null || to === drag.to) return;
    drag.to = to;
    select.over(to);
  }

  function scroll(): void {
    if (!drag) return;
    const { top, bottom } = seen();
    const beyond = drag.y < top + EDGE_PX ? drag.y - top - EDGE_PX : Math.max(drag.y - bottom + EDGE_PX, 0);
    if (beyond !== 0) {
      list.closest('.scroller')?.scrollBy(0, Math.max(Math.min(beyond / 3, FASTEST), -FASTEST));
      update();
    }
    frame = requestAnimationFrame(scroll);
  }

  function end(): void {
    if (drag?.isMoving) {
      // The click that the browser makes of it opens nothing. There is none if the tiles were different.
      list.addEventListener('click', swallow, { capture: true });
      setTimeout(() => list.removeEventListener('click', swallow, { capture: true }));
    }
    drag = null;
    cancelAnimationFrame(frame);
    removeEventListener('pointermove', onpointermove);
    removeEventListener('pointerup', end);
    removeEventListener('pointercancel', end);
    removeEventListener('selectstart', prevent);
  }

  function seen(): DOMRect {
    return (list.closest('.scroller') ?? list).getBoundingClientRect();
  }

  /** The index of the tile that is nearest to a place of the window: in the nearest row; `null` if there is none. */
  function indexAt(x: number, y: number): number | null {
    let nearest: { tile: Element; above: number; beside: number } | null = null;
    // Those near the window are all that the list has.
    for (const tile of list.children) {
      const { left, right, top, bottom } = tile.getBoundingClientRect();
      const [above, beside] = [Math.max(top - y, y - bottom, 0), Math.max(left - x, x - right, 0)];
      const isNearer = !nearest || above < nearest.above || (above === nearest.above && beside < nearest.beside);
      if (isNearer) nearest = { tile, above, beside };
    }
    const index = nearest?.tile.querySelector<HTMLElement>('[data-index]')?.dataset['index'];
    return index === undefined ? null : Number(index);
  }

  list.addEventListener('pointerdown', onpointerdown);
  return {
    destroy: () => {
      end();
      list.removeEventListener('pointerdown', onpointerdown);
    },
  };
};

function prevent(event: Event): void {
  event.preventDefault();
}

function swallow(event: Event): void {
  event.preventDefault();
  event.stopPropagation();
}
