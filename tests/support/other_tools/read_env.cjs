// Prints what Node's dotenv reads on stdin, as JSON: `node read_env.cjs FOLDER_OF_DOTENV`.
const dotenv = require(process.argv[2]);
process.stdout.write(JSON.stringify(dotenv.parse(require("fs").readFileSync(0))));
