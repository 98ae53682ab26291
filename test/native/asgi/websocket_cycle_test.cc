#include "asgi/websocket_cycle.h"

#include "asgi/app_fixture.h"

namespace node_asgi {
namespace {

using bridge::RequestEvent;
using bridge::ResponseEvent;
using Kind = ResponseEvent::Kind;

class WebSocketCycle : public test::AppFixture {
 protected:
  bridge::RefPtr<bridge::Exchange> Connect() {
    bridge::ExchangeRequest request;
    request.head =
        "GET\n/chat?x=1\n1.1\nhttps\n127.0.0.1\n5\n::1\n80\n\nSec-WebSocket-Protocol\na, b";
    request.abilities = bridge::kWebSocket;
    return Begin(std::move(request));
  }
  void Credit(const bridge::RefPtr<bridge::Exchange>& exchange, size_t bytes) {
    RequestEvent credit{RequestEvent::Kind::kCredit};
    credit.amount = bytes + asgi::WebSocketCycle::kMessageOverhead;
    Deliver(exchange, std::move(credit));
  }
  static RequestEvent Message(const std::string& text) {
    RequestEvent event{RequestEvent::Kind::kText};
    event.bytes = text;
    return event;
  }
};

constexpr char kEcho[] =
    "async def app(scope, receive, send):\n"
    "  assert (await receive()) == {'type': 'websocket.connect'}\n"
    "  await send({'type': 'websocket.accept', 'subprotocol': scope['subprotocols'][1],\n"
    "              'headers': [(b'x-scheme', scope['scheme'].encode())]})\n"
    "  while True:\n"
    "    message = await receive()\n"
    "    if message['type'] == 'websocket.disconnect': return\n"
    "    await send({'type': 'websocket.send', 'text': message['text']})\n";

TEST_F(WebSocketCycle, AcceptsAndEchoesInOrder) {
  Load(kEcho);
  const auto exchange = Connect();
  EXPECT_EQ(sink_->At(0).kind, Kind::kAccept);
  EXPECT_EQ(sink_->At(0).body, "b");
  EXPECT_EQ(sink_->At(0).headers, "x-scheme\nwss");
  constexpr size_t kMessages = 500;
  for (size_t i = 0; i < kMessages; ++i) Deliver(exchange, Message(std::to_string(i)));
  size_t seen = 0;
  for (size_t at = 1; seen < kMessages; ++at) {
    const ResponseEvent& event = sink_->At(at);
    if (event.kind == Kind::kConsumed) continue;
    EXPECT_EQ(event.kind, Kind::kText);
    EXPECT_EQ(event.body, std::to_string(seen++));
    Credit(exchange, event.body.size());
  }
  Deliver(exchange, {RequestEvent::Kind::kDisconnect});
}

TEST_F(WebSocketCycle, SendWaitsForCredit) {
  host::ApplicationOptions options;
  options.high_water_mark = 100;
  Load(
      "async def app(scope, receive, send):\n"
      "  await receive()\n"
      "  await send({'type': 'websocket.accept'})\n"
      "  for _ in range(3): await send({'type': 'websocket.send', 'bytes': b'x' * 50})\n",
      options);
  const auto exchange = Connect();
  EXPECT_EQ(sink_->At(1).kind, Kind::kBinary);
  usleep(50000);
  EXPECT_EQ(sink_->size(), 2U) << "a second message went out without credit";
  for (size_t i = 1; i <= 3; ++i) {
    sink_->At(i);
    Credit(exchange, 50);
  }
  EXPECT_EQ(sink_->At(4).kind, Kind::kClose);
  EXPECT_EQ(sink_->At(4).amount, 1000U);
}

TEST_F(WebSocketCycle, AnExceptionBeforeAndAfterAcceptFails) {
  Load(
      "async def app(scope, receive, send):\n"
      "  await receive()\n"
      "  await send({'type': 'websocket.accept'})\n"
      "  raise KeyError('open')\n");
  Connect();
  EXPECT_EQ(sink_->At(1).kind, Kind::kFailed);
  EXPECT_EQ(sink_->At(1).failure->python_type, "KeyError");
}

TEST_F(WebSocketCycle, StoppingTellsBothSidesAtOnce) {
  Load(kEcho);
  Connect();
  sink_->At(0);
  const auto began = std::chrono::steady_clock::now();
  Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(900))
      << "half of the timeout was spent on waiting for what never ends";
  EXPECT_EQ(sink_->At(1).kind, Kind::kClose);
  EXPECT_EQ(sink_->At(1).amount, 1012U);
}

TEST_F(WebSocketCycle, AClientThatLeavesInEveryPhaseLeavesNothing) {
  Load(kEcho);
  for (int i = 0; i < 200; ++i) {
    const auto exchange = Connect();
    if (i % 2 == 0) Deliver(exchange, Message("hello"));
    Deliver(exchange, {RequestEvent::Kind::kDisconnect});
  }
}

}  // namespace
}  // namespace node_asgi
