// Splits the joined head of a request (see ExchangeRequest::head) into its fields.
// Thread: any; the views point into the text that was split.
#ifndef NODE_ASGI_BRIDGE_REQUEST_HEAD_H_
#define NODE_ASGI_BRIDGE_REQUEST_HEAD_H_

#include <string>
#include <string_view>
#include <vector>

namespace node_asgi::bridge {

struct RequestHead {
  std::string_view method;
  std::string_view target;
  std::string_view http_version;
  std::string_view scheme;
  std::string_view client_host;  // empty: unknown (a unix socket, or no socket at all)
  std::string_view client_port;
  std::string_view server_host;
  std::string_view server_port;  // empty with a host: a unix socket's path
  std::string_view root_path;
  std::string_view headers;  // name \n value …; empty when there is none

  // False when a field is missing.
  static bool Split(std::string_view text, RequestHead* head);
  // Takes the next pair off `rest`. False at the end, or when a name has no value.
  static bool NextHeader(std::string_view* rest, std::string_view* name, std::string_view* value) {
    const size_t middle = rest->find('\n');
    if (middle == std::string_view::npos) return false;
    const size_t end = rest->find('\n', middle + 1);
    *name = rest->substr(0, middle);
    *value = rest->substr(middle + 1, end == std::string_view::npos ? end : end - middle - 1);
    rest->remove_prefix(end == std::string_view::npos ? rest->size() : end + 1);
    return true;
  }

  // The subprotocols that a WebSocket client offers in all its Sec-WebSocket-Protocol fields.
  static std::vector<std::string_view> Subprotocols(std::string_view headers);

  // Whether there is at most one Host field, of characters that a host and port may have (RFC 9112
  // section 3.2: anything else is to be answered with 400).
  bool HasValidHost() const;
};

// %XX decoded; what is no escape stays as it is.
std::string PercentDecode(std::string_view text);

struct RequestTarget {
  std::string_view raw_path;  // without query; "/" when the target has no path
  std::string_view query;     // without "?"

  // Origin form, absolute form (http://host/path) and "*" (RFC 9112 section 3.2).
  static RequestTarget Split(std::string_view target);
};

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_REQUEST_HEAD_H_
