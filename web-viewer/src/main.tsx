// Where the page begins: makes what every part shares, and draws.
import { render } from 'preact';
import './style/index.css';
import { AppProvider } from './context.ts';
import { Frame } from './frame.tsx';
import { Gateway } from './gateway/gateway.ts';
import { Keyboard } from './keyboard/keyboard.ts';
import { Notes } from './note.tsx';
import { Router } from './route.ts';
import { Ticks } from './text/ticks.ts';
import { Theme } from './theme.ts';

const app = {
  theme: new Theme(),
  gateway: new Gateway(),
  keyboard: new Keyboard(),
  notes: new Notes(),
  ticks: new Ticks(),
  // After the gateway has read what the address brought.
  router: new Router(),
};

const place = document.getElementById('app');
if (place !== null) {
  render(
    <AppProvider value={app}>
      <Frame />
    </AppProvider>,
    place,
  );
}
void app.gateway.start();
