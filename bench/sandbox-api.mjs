// A client of the HTTP API of the sandbox server that came before: whichever server speaks it can be measured beside ours.

export class SandboxApi {
  #url;
  #headers;
  #firstSlot;

  /** `firstSlot`: its slots are counted from this one on. */
  constructor({ url, token, firstSlot = 0 }) {
    this.#url = url.replace(/\/$/, '');
    this.#headers = {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    this.#firstSlot = firstSlot;
  }

  /** Throws unless the tool succeeded. */
  async execute(slot, tool, args) {
    return await this.#post('/execute', { slot_id: this.#slot(slot), tool, args });
  }

  async archive(slot, path) {
    return await this.#post('/artifacts/archive', { slot_id: this.#slot(slot), path });
  }

  async reset(slot) {
    return await this.#post('/reset', { slot_id: this.#slot(slot) });
  }

  #slot(slot) {
    return `slot_${this.#firstSlot + slot}`;
  }

  async #post(path, body) {
    const request = { method: 'POST', headers: this.#headers, body: JSON.stringify(body) };
    const reply = await (await fetch(this.#url + path, request)).json();
    if (!reply.success) throw new Error(`${path} ${JSON.stringify(body)}: ${reply.error}`);
    return reply;
  }
}
