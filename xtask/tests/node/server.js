// A service in Node.js alone. It knows nothing of the toolkit, and ends at SIGTERM at once.
const fs = require('node:fs');
const http = require('node:http');

const greeting = fs.readFileSync('greeting.txt', 'utf8').trim();
const built = fs.existsSync('dist/built.txt') ? fs.readFileSync('dist/built.txt', 'utf8').trim() : '';

const server = http.createServer((request, response) => {
  const { GREETED, SESSION_KEY, OPTIONAL } = process.env;
  const bodies = {
    '/health': 'ok',
    '/env': JSON.stringify({ GREETED, SESSION_KEY, OPTIONAL, built }),
  };
  response.end(bodies[request.url] ?? greeting);
});

if (greeting === 'broken') throw new Error('this release is broken');
server.listen(process.env.PORT, () => console.log(`listening on ${process.env.PORT}`));
