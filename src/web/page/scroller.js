// A list that grows at both ends while what is being read stays where it is, to the pixel. The
// browser's own anchoring is off (`overflow-anchor: none`): not every browser has one.

/** Whoever moves down to here goes on to the end. */
const NEAR_END_PX = 48;

export class Scroller {
  /** Whether the newest is in view, and is to stay so. */
  atEnd = true;
  #box;
  #list;
  #isLive;
  #frame = 0;
  #top = 0; // Where the box was scrolled to when it was last looked at,
  #size = ""; // how large it was, and
  #places = []; // what stood in view then: {node, top, height}, top within the box.

  /**
   * `isLive()` tells whether the list ends with the newest: else its end is a place like others.
   * `onScroll` is called at most once a frame, also when the box or the list changes its size.
   */
  constructor(box, list, {isLive, onScroll}, signal) {
    [this.#box, this.#list, this.#isLive] = [box, list, isLive];
    const later = () => {
      this.#frame ||= requestAnimationFrame(() => {
        this.#frame = 0;
        onScroll();
      });
    };
    const moved = () => {
      this.#moved();
      later();
    };
    box.addEventListener("scroll", moved, {passive: true, signal});
    const resized = new ResizeObserver(moved);
    for (const node of [box, list]) resized.observe(node);
    signal.addEventListener("abort", () => resized.disconnect());
  }

  /** How far it is to either end of what is in the list, in heights of the box. */
  get room() {
    const {scrollTop, clientHeight} = this.#box;
    const height = Math.max(clientHeight, 1);
    return {above: scrollTop / height, below: this.#distanceToEnd() / height};
  }

  /** From the next change on: whatever else moved before, it goes to the end, or stays. */
  follow(isFollowing) {
    this.atEnd = isFollowing;
    this.#top = this.#box.scrollTop;
  }

  toEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
    this.atEnd = true;
    this.#look();
  }

  /** So that `item` stands a quarter of the way down; the end stays if that shows it, too. */
  toItem(item) {
    const {top} = this.#placeOf(item);
    if (this.atEnd && top >= 0) return;
    this.atEnd = false;
    this.#by(top - this.#box.clientHeight / 4);
  }

  /** The last item that is in view to its end, or above. */
  get lastSeen() {
    const {bottom} = this.#box.getBoundingClientRect();
    const isSeen = (item) => item.getBoundingClientRect().bottom <= bottom + 1;
    return [...this.#list.children].findLast(isSeen);
  }

  /** Does what changes the list, and puts what was in view back to where it stood. */
  keeping(change) {
    if (this.#box.scrollTop !== this.#top) this.#moved();
    change();
    this.#settle();
  }

  /** Whatever changes its size next, `node` stays where it is. */
  hold(node) {
    this.atEnd = false;
    this.#top = this.#box.scrollTop;
    this.#places = [{node, top: this.#placeOf(node).top}];
  }

  /** Somebody moves, or things change their size, which moves them without anybody's wish. */
  #moved() {
    if (this.#sizes() === this.#size) this.#look();
    else this.#settle();
  }

  #sizes() {
    const {clientWidth, clientHeight, scrollHeight} = this.#box;
    return `${clientWidth} ${clientHeight} ${scrollHeight}`;
  }

  #settle() {
    if (this.atEnd) return this.toEnd();
    const kept = this.#places.find(({node}) => node.isConnected);
    if (!kept) return this.#look();
    const {top, height} = this.#placeOf(kept.node);
    // Of what begins above the box, the same part is in view also where it has other lines now.
    const grown = kept.top < 0 && kept.height ? height / kept.height : 1;
    return this.#by(top - kept.top * grown);
  }

  #by(pixels) {
    if (pixels !== 0) this.#box.scrollTop += pixels;
    this.#top = this.#box.scrollTop;
    this.#look();
  }

  /** However little a person moves up, the newest does not carry them off any more. */
  #look() {
    const {scrollTop} = this.#box;
    const distance = this.#distanceToEnd();
    if (!this.#isLive()) this.atEnd = false;
    else if (distance < 1) this.atEnd = true;
    else if (scrollTop < this.#top) this.atEnd = false;
    else if (scrollTop > this.#top && distance <= NEAR_END_PX) this.atEnd = true;
    this.#top = scrollTop;
    this.#size = this.#sizes();
    this.#places = this.atEnd ? [] : this.#inView();
  }

  #distanceToEnd() {
    const {scrollHeight, scrollTop, clientHeight} = this.#box;
    return scrollHeight - scrollTop - clientHeight;
  }

  #placeOf(node) {
    const {top, height} = node.getBoundingClientRect();
    return {top: top - this.#box.getBoundingClientRect().top, height};
  }

  /** What people read, not its surroundings: a day line above it may come and go. */
  #inView() {
    const {top, bottom} = this.#box.getBoundingClientRect();
    const seen = [];
    for (const item of this.#list.children) {
      const node = item.querySelector(".body") ?? item;
      const place = node.getBoundingClientRect();
      if (place.top > bottom) break;
      if (place.bottom > top) seen.push({node, top: place.top - top, height: place.height});
    }
    return seen;
  }
}
