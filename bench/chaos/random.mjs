// Numbers that a seed repeats. Pure.

export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
    for (let i = 0; i < 3; i++) this.below(2);
  }

  /** From 0 to below this. */
  below(end) {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    // The low bits of such a generator repeat soon.
    return Math.floor((this.#state / 2 ** 32) * end);
  }

  between(least, most) {
    return least + this.below(most - least + 1);
  }

  oneOf(choices) {
    return choices[this.below(choices.length)];
  }

  /** One of [weight, value]…, the heavier the more often. */
  weighted(choices) {
    let at = this.below(choices.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of choices) {
      at -= weight;
      if (at < 0) return value;
    }
    return choices[0][1];
  }
}
