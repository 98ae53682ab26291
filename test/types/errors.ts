// Errors are told apart by their class and their code.

import { codes, ErrorCode, NodeAsgiError, PythonError } from 'node-asgi';

function tell(error: unknown): string | number {
  if (error instanceof PythonError) {
    const inner: PythonError[] = error.errors;
    const lines: number[] = error.frames.map((frame) => frame.line);
    const where: string = `${error.frames[0]?.file} ${error.frames[0]?.function}`;
    const cause: string | undefined = error.cause?.pythonType;
    return [error.pythonType, error.pythonMessage, error.traceback, where, cause, ...inner, ...lines].join();
  }
  if (error instanceof NodeAsgiError) {
    switch (error.code) {
      case 'ERR_ASGI_BUSY':
      case 'ERR_ASGI_TIMEOUT':
        return error.status;
      // @ts-expect-error there is no such code
      case 'ERR_ASGI_BUSSY':
        return 0;
      default:
        return codes[error.code].about;
    }
  }
  // @ts-expect-error nothing is known of it
  return error.message;
}

const code: ErrorCode = 'ERR_PYTHON_EXCEPTION';
// @ts-expect-error there is no such code
const wrong: ErrorCode = 'ERR_PYTHON';
// @ts-expect-error the table is complete and closed
codes.ERR_SOMETHING;
// @ts-expect-error made by the library only
new PythonError();

void [tell, code, wrong];
