import { expect, test } from 'vitest';
import { explain } from '../../../../server/keeper/sandbox/reason.ts';

test.each([
  ['prlimit: failed to execute bwrap: No such file or directory', 'bubblewrap'],
  ['bwrap: Unknown option --disable-userns', '0.8 or newer'],
  [
    'bwrap: No permissions to create new namespace, likely because the kernel does not allow…',
    'unprivileged_userns_clone',
  ],
  ['bwrap: Creating new namespace failed: No space left on device', 'max_user_namespaces'],
  ['bwrap: setting up uid map: Permission denied', 'apparmor_restrict_unprivileged_userns'],
  ['bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted', 'apparmor_restrict_unprivileged_userns'],
  ["bwrap: Can't mount proc on /newroot/proc: Operation not permitted", 'unmask'],
  ['bwrap: execvp /usr/bin/perl: No such file or directory', 'perl-base'],
  ["bwrap: Can't find source path /srv/x: Permission denied", 'modes of their parents'],
  ['something new', 'slotcast doctor'],
])('%s', (said, remedy) => {
  expect(explain(said).remedy).toContain(remedy);
});

test('a host path is told as the payload knows it, or not at all', () => {
  const said = "bwrap: Can't bind mount /oldroot/data/s/workspace on /newroot/workspace: /home/me/x: No such file";
  const { reason } = explain(said, { '/data/s/workspace': '/workspace' });
  expect(reason).toBe("bwrap: Can't bind mount /workspace on /workspace: (a host path): No such file");
});

test('a silent end has a reason too', () => {
  expect(explain('').reason).toBe('bwrap ended without a word');
});
