/** Browsers cut elements that are taller than about 2²⁴ pixels. */
export const TALLEST = 8_000_000;

/**
 * Maps the scroll position of an element that is no taller than [`TALLEST`] to a position in a content of any height.
 *
 * Small steps move the content by as many pixels, so that wheel and touch feel right. A jump, such as a drag of the scroll bar,
 * goes to the same part of the whole. Between the two the positions drift apart; `settle` brings them together again while
 * nothing moves on the screen.
 */
export class ScrollMap {
  /** The position in the content, in pixels. */
  position = 0;
  #content = 0;
  #viewport = 0;
  #scrollTop = 0;

  /** The height of the element that scrolls. */
  get height(): number {
    return Math.min(this.#content, TALLEST);
  }

  /** What has to be taken off positions in the content to get those in the element. */
  get offset(): number {
    return this.position - this.#scrollTop;
  }

  resize(content: number, viewport: number): void {
    this.#content = content;
    this.#viewport = viewport;
    this.position = Math.min(this.position, this.#most(content));
  }

  /** The element was scrolled. */
  scroll(scrollTop: number): void {
    const step = scrollTop - this.#scrollTop;
    const isMapped = this.#content > TALLEST;
    const isEnd = scrollTop <= 0 || scrollTop >= this.#most(this.height) - 1;
    if (isMapped && (isEnd || Math.abs(step) > this.#viewport * 2)) {
      this.position = (scrollTop / this.#most(this.height)) * this.#most(this.#content);
    } else {
      this.position = isMapped ? this.position + step : scrollTop;
    }
    this.#scrollTop = scrollTop;
    this.position = Math.min(Math.max(this.position, 0), this.#most(this.#content));
  }

  /** The scroll position that the element should get, once it rests. */
  settle(): number {
    return this.go(this.position);
  }

  /** Goes to a position in the content. Returns the scroll position that the element has to get. */
  go(position: number): number {
    this.position = Math.min(Math.max(position, 0), this.#most(this.#content));
    const most = this.#most(this.#content);
    const share = most === 0 ? 0 : this.position / most;
    this.#scrollTop = this.#content > TALLEST ? Math.round(share * this.#most(this.height)) : this.position;
    return this.#scrollTop;
  }

  #most(height: number): number {
    return Math.max(height - this.#viewport, 0);
  }
}
