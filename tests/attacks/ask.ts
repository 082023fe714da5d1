// A program that asks its terminal things and tells byte by byte what it was answered, for the attack tests.

/**
 * Takes [name, base64 of what to print, alone]… as JSON from the file `ask.json`; prints {name: base64 of the answer} as JSON on its last line.
 * alone: nothing else is asked with it, and what comes within a tenth of a second is the answer.
 */
export const ASK = `
import base64, json, os, select, sys, termios, tty
fd = os.open('/dev/tty', os.O_RDWR)
old = termios.tcgetattr(fd)
def read(timeout):
    return os.read(fd, 65536) if select.select([fd], [], [], timeout)[0] else b''
def until_end():
    got = b''
    while not got.endswith(b'\\x1b[0n'):
        more = read(5)
        if not more:
            raise SystemExit('the terminal does not answer')
        got += more
    return got[:-4]
answers = {}
try:
    tty.setraw(fd)
    for name, query, alone in json.load(open('ask.json')):
        if alone:
            os.write(fd, base64.b64decode(query))
            got = b''
            while more := read(0.1):
                got += more
            answers[name] = base64.b64encode(got).decode()
            os.write(fd, b'\\x18')
            continue
        # The answer to the second query ends that to the first. CAN: what the first one left open is none of its business.
        os.write(fd, base64.b64decode(query) + b'\\x18\\x1b[5n')
        answers[name] = base64.b64encode(until_end()).decode()
    late = b''
    while more := read(0.4):
        late += more
    answers['late'] = base64.b64encode(late).decode()
finally:
    termios.tcsetattr(fd, termios.TCSANOW, old)
print(json.dumps(answers))
`;
