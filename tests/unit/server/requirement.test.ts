import { expect, test } from 'vitest';
import { checkRequirement, containerText, RequirementError } from '../../../server/requirement.ts';

const works = { ok: true, detail: 'it does' };
/** In no container. */
const elsewhere = async () => null;

test('a host that can sandbox starts the gateway; one that cannot is told why and what to do', async () => {
  await checkRequirement({ sandbox: works, seccomp: works }, ['sandbox', 'seccomp'], elsewhere);
  const broken = { ok: false, detail: 'bwrap is not there', remedy: 'Install the package bubblewrap.' };
  const refused = checkRequirement({ sandbox: broken, seccomp: works }, ['sandbox', 'seccomp'], elsewhere);
  await expect(refused).rejects.toThrow(RequirementError);
  await expect(refused).rejects.toThrow(/bwrap is not there.*Install the package bubblewrap/);
});

test("a container that the host's root runs does not start, even if it could sandbox", async () => {
  const root = { flag: '--user 1000:1000', compose: 'user: "1000:1000"', why: 'root', breaks: false };
  await expect(checkRequirement({ sandbox: works }, ['sandbox'], async () => [root])).rejects.toThrow(
    '--user 1000:1000',
  );
});

test('a container is told each setting as a flag and as a line of a compose file', () => {
  const text = containerText(
    [
      {
        flag: '--security-opt seccomp=x.json',
        compose: 'security_opt: ["seccomp=./x.json"]',
        why: 'forbidden',
        breaks: true,
      },
      { flag: '', compose: 'sysctl -w a.b=1', why: 'on the host a.b is 0', breaks: true },
    ],
    'No permissions',
  );
  expect(text.split('\n')).toEqual([
    'it does not start: the container lacks these settings (No permissions)',
    '  --security-opt seccomp=x.json',
    '      compose: security_opt: ["seccomp=./x.json"]',
    '      forbidden',
    '  sysctl -w a.b=1   (on the host a.b is 0)',
    'The docker-compose.yml of slotcast has all of them.',
    'The profile is in the image: docker run --rm --entrypoint cat IMAGE deploy/seccomp-bwrap.json',
  ]);
});
