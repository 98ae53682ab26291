// An error as a plain value: the only shape in which errors cross threads.
// Thread: any. Owner: whoever holds the value.
#ifndef NODE_ASGI_BRIDGE_FAILURE_H_
#define NODE_ASGI_BRIDGE_FAILURE_H_

#include <string>

namespace node_asgi::bridge {

struct Failure {
  std::string code;         // a row of the error table in lib/errors.js: ERR_PYTHON_*, ERR_ASGI_*
  std::string message;      // for people: what was expected and what came
  std::string python_type;  // qualified name of the exception's type; empty when Python raised none
  std::string traceback;    // as Python prints it; empty when Python raised none
  std::string details;      // JSON {frames, cause, errors, message} made by node_asgi/errors.py
};

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_FAILURE_H_
