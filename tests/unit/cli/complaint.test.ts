import { expect, test } from 'vitest';
import { Complaint, complain } from '../../../cli/complaint.ts';
import { Fault } from '../../../client/index.ts';

test('what an error quotes does nothing to the terminal that it is printed on', () => {
  const title = '\x1b]0;title\x07';
  const { line } = complain(new Complaint(`${title}\x9b31m.cast\u202e is no\r\nfile`, 2));
  expect(line).toBe('slotcast:  ]0;title 31m.cast  is no file');
  expect(complain(new Fault('SLOT_BUSY', `${title}\x85`)).line).toBe('slotcast:  ]0;title ');
  expect(complain(new Error(title)).line).not.toMatch(/\p{Cc}/u);
});
