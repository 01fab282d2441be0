// A list that grows at both ends while what is being read stays where it is, to the pixel. The
// browser's own anchoring is off (`overflow-anchor: none`): not every browser has one.

const NEAR_END_PX = 48;

export class Scroller {
  /** Whether the newest is in view, and is to stay so. */
  atEnd = true;
  #box;
  #list;
  #isLive;
  #frame = 0;

  /**
   * `isLive()` tells whether the list ends with the newest: else its end is a place like others.
   * `onScroll` is called at most once a frame, also when the box changes its size.
   */
  constructor(box, list, {isLive, onScroll}, signal) {
    [this.#box, this.#list, this.#isLive] = [box, list, isLive];
    const later = () => {
      this.#frame ||= requestAnimationFrame(() => {
        this.#frame = 0;
        onScroll();
      });
    };
    box.addEventListener("scroll", () => {
      this.#look();
      later();
    }, {passive: true, signal});
    const resized = new ResizeObserver(() => {
      if (this.atEnd) this.toEnd();
      later();
    });
    resized.observe(box);
    signal.addEventListener("abort", () => resized.disconnect());
  }

  /** How far it is to either end of what is in the list, in heights of the box. */
  get room() {
    const {scrollTop, clientHeight} = this.#box;
    const height = Math.max(clientHeight, 1);
    return {above: scrollTop / height, below: this.#distanceToEnd() / height};
  }

  toEnd() {
    this.atEnd = true;
    this.#box.scrollTop = this.#box.scrollHeight;
  }

  /** So that `item` stands a quarter of the way down; the end stays if that shows it, too. */
  toItem(item) {
    const distance = item.getBoundingClientRect().top - this.#box.getBoundingClientRect().top;
    if (this.atEnd && distance >= 0) return;
    this.atEnd = false;
    this.#box.scrollTop += distance - this.#box.clientHeight / 4;
  }

  /** The last item that is in view to its end, or above. */
  get lastSeen() {
    const {bottom} = this.#box.getBoundingClientRect();
    const isSeen = (item) => item.getBoundingClientRect().bottom <= bottom + 1;
    return [...this.#list.children].findLast(isSeen);
  }

  /** Does what changes the list, and puts what was in view back to where it stood. */
  keeping(change) {
    const seen = this.atEnd ? [] : this.#inView();
    change();
    if (this.atEnd) {
      this.toEnd();
      return;
    }
    const kept = seen.find(({node}) => node.isConnected);
    const moved = kept ? kept.node.getBoundingClientRect().top - kept.top : 0;
    if (moved !== 0) this.#box.scrollTop += moved;
    this.#look();
  }

  #look() {
    this.atEnd = this.#isLive() && this.#distanceToEnd() <= NEAR_END_PX;
  }

  #distanceToEnd() {
    const {scrollHeight, scrollTop, clientHeight} = this.#box;
    return scrollHeight - scrollTop - clientHeight;
  }

  /** What people read, not its surroundings: a day line above it may come and go. */
  #inView() {
    const {top, bottom} = this.#box.getBoundingClientRect();
    const seen = [];
    for (const item of this.#list.children) {
      const node = item.querySelector(".body") ?? item;
      const place = node.getBoundingClientRect();
      if (place.top > bottom) break;
      if (place.bottom > top) seen.push({node, top: place.top});
    }
    return seen;
  }
}
