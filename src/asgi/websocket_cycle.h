// One WebSocket on the Python side: what the app's receive() and send() do (asgiref www.rst 2.5).
// Thread, owner and teardown: see asgi/cycle.h.
#ifndef NODE_ASGI_ASGI_WEBSOCKET_CYCLE_H_
#define NODE_ASGI_ASGI_WEBSOCKET_CYCLE_H_

#include <deque>
#include <string>
#include <vector>

#include "asgi/cycle.h"
#include "asgi/messages.h"
#include "bridge/exchange.h"
#include "bridge/flow_window.h"
#include "bridge/request_head.h"

namespace node_asgi::asgi {

class WebSocketCycle final : public Cycle {
 public:
  WebSocketCycle(bridge::RefPtr<CycleHost> host, bridge::RefPtr<bridge::Exchange> exchange,
                 const bridge::RequestHead& head);

  // Another thread's events (ExchangePeer).
  void On(const python::GilHeld& gil, bridge::Exchange& exchange,
          bridge::RequestEvent event) override;

  // Both sides hear 1012, service restart (W-26).
  void Close(const python::GilHeld& gil) override;
  bool endless() const override { return true; }

  // Credit that a message costs beside its bytes, so that empty ones are bounded too. Bytes.
  static constexpr size_t kMessageOverhead = 64;

 private:
  enum class Phase {
    kConnecting,  // no answer to the handshake yet
    kOpen,        // accepted
    kDenying,     // the handshake is being answered with an HTTP response of the app's
    kClosed,      // by either side: code_ and reason_ say how
  };
  struct Message {
    bool is_text;
    std::string bytes;
  };

  Step Receive(const python::GilHeld& gil, Entry entry, python::Owned* out) override;
  Step Send(const python::GilHeld& gil, Entry entry, python::Borrowed message,
            python::Owned* out) override;
  void Finish(const python::GilHeld& gil, python::Borrowed exception, bool expected) override;
  bool client_left() const override { return gone_; }

  bool Perform(const python::GilHeld& gil, python::Borrowed message);
  bool Accept(const python::GilHeld& gil, python::Borrowed message);
  bool SendMessage(const python::GilHeld& gil, python::Borrowed message);
  bool SendClose(const python::GilHeld& gil, python::Borrowed message);
  bool DenyStart(const python::GilHeld& gil, python::Borrowed message);
  bool DenyBody(const python::GilHeld& gil, python::Borrowed message);
  bool Unexpected(const python::GilHeld& gil, std::string_view name);
  void PostClose(int code, std::string reason);
  void BecomeClosed(const python::GilHeld& gil, int code, std::string reason);
  void CountConsumed(size_t bytes);

  Phase phase_ = Phase::kConnecting;
  std::vector<std::string> offered_;  // subprotocols
  bool connect_given_ = false;
  std::deque<Message> messages_;
  size_t consumed_ = 0;  // credit the app has taken that the JavaScript side has not heard of
  bool gone_ = false;    // closed by the client or the host, not by the app
  bool disconnect_seen_ = false;
  int code_ = 1006;
  std::string reason_;
  bridge::FlowWindow window_;

  ResponseStart denial_;
  bool denial_begun_ = false;  // its head has left
};

}  // namespace node_asgi::asgi

#endif  // NODE_ASGI_ASGI_WEBSOCKET_CYCLE_H_
