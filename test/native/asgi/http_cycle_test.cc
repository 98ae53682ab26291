#include "asgi/http_cycle.h"

#include "asgi/app_fixture.h"

namespace node_asgi {
namespace {

using bridge::RequestEvent;
using bridge::ResponseEvent;
using Kind = ResponseEvent::Kind;

class HttpCycle : public test::AppFixture {};

constexpr char kHello[] =
    "async def app(scope, receive, send):\n"
    "  await send({'type': 'http.response.start', 'status': 201, 'headers': [(b'A', b'1'), [b'b', "
    "b'2']]})\n"
    "  await send({'type': 'http.response.body', 'body': b'hello'})\n";

TEST_F(HttpCycle, AWholeResponseIsOneEvent) {
  Load(kHello);
  Begin();
  const ResponseEvent& event = sink_->At(0);
  EXPECT_EQ(event.kind, Kind::kWhole);
  EXPECT_EQ(event.status, 201);
  EXPECT_EQ(event.headers, "A\n1\nb\n2");
  EXPECT_EQ(event.body, "hello");
}

TEST_F(HttpCycle, BuildsTheScope) {
  Load(
      "async def app(scope, receive, send):\n"
      "  names = ['type', 'http_version', 'method', 'scheme', 'path', 'raw_path', 'query_string', "
      "'root_path',\n"
      "           'headers', 'client', 'server', 'extensions']\n"
      "  body = repr([scope[name] for name in names] + ['state' in scope]).encode()\n"
      "  await send({'type': 'http.response.start', 'status': 200})\n"
      "  await send({'type': 'http.response.body', 'body': body})\n");
  Begin();
  EXPECT_EQ(sink_->At(0).body,
            "['http', '1.1', 'GET', 'http', '/path', b'/path', b'x=1', '', [(b'x-one', b'1'), "
            "(b'host', b'example')], ('127.0.0.1', 5), ('::1', 80), {}, False]");
}

TEST_F(HttpCycle, AStreamWaitsForCredit) {
  host::ApplicationOptions options;
  options.high_water_mark = 10;
  Load(
      "async def app(scope, receive, send):\n"
      "  await send({'type': 'http.response.start', 'status': 200})\n"
      "  for _ in range(3): await send({'type': 'http.response.body', 'body': b'x' * 10, "
      "'more_body': True})\n"
      "  await send({'type': 'http.response.body'})\n",
      options);
  const auto exchange = Begin();
  EXPECT_EQ(sink_->At(0).kind, Kind::kStart);
  EXPECT_EQ(sink_->At(1).kind, Kind::kChunk);
  usleep(50000);
  EXPECT_EQ(sink_->size(), 2U) << "the app went on above the high-water mark";
  RequestEvent credit{RequestEvent::Kind::kCredit};
  credit.amount = 10;
  for (size_t i = 0; i < 3; ++i) {
    Deliver(exchange, credit);
    sink_->At(2 + i);
  }
  EXPECT_EQ(sink_->At(4).kind, Kind::kEnd);
}

// Sends pieces of 5,000, 70,000 and 200,000 bytes.
constexpr char kPieces[] =
    "async def app(scope, receive, send):\n"
    "  await send({'type': 'http.response.start', 'status': 200})\n"
    "  for size in (5000, 70000, 200000):\n"
    "    body = bytes(i % 251 for i in range(size))\n"
    "    await send({'type': 'http.response.body', 'body': body, 'more_body': size < 200000})\n";

// What has come, in the order in which it came; and how many of its events had a block.
std::string Joined(test::RecordingSink* sink, int* blocks) {
  std::string all;
  *blocks = 0;
  for (size_t i = 1;; ++i) {
    const ResponseEvent& event = sink->At(i);
    if (event.kind == Kind::kBlock) {
      ++*blocks;
      all.append(event.block.data(), event.amount);
    }
    all.append(event.body);
    if (event.last()) return all;
  }
}

std::string Expected() {
  std::string all;
  for (const int size : {5000, 70000, 200000}) {
    for (int i = 0; i < size; ++i) all += static_cast<char>(i % 251);
  }
  return all;
}

TEST_F(HttpCycle, PiecesComeInBlocksOfAHostThatLendsThem) {
  host::ApplicationOptions options;
  options.high_water_mark = 1000000;
  Load(kPieces, options);
  bridge::ExchangeRequest request;
  request.abilities = bridge::kLentBody;
  Begin(std::move(request));
  int blocks = 0;
  EXPECT_EQ(Joined(sink_.get(), &blocks), Expected());
  EXPECT_EQ(blocks, 4)
      << "65,536 of the second piece, 3 times 65,536 and less than 8,192 of the third";
}

TEST_F(HttpCycle, PiecesComeAsTheyAreOnceAllBlocksAreOut) {
  host::ApplicationOptions options;
  options.high_water_mark = 1000000;
  Load(kPieces, options);
  std::vector<bridge::BodyBlock> held;
  for (size_t i = 2; i < bridge::BodyBlocks::kMost; ++i)
    held.push_back(sink_->body_blocks()->Take());
  bridge::ExchangeRequest request;
  request.abilities = bridge::kLentBody;
  Begin(std::move(request));
  int blocks = 0;
  EXPECT_EQ(Joined(sink_.get(), &blocks), Expected());
  EXPECT_EQ(blocks, 2);
}

TEST_F(HttpCycle, NothingIsLentToAHostThatHasNotOfferedIt) {
  host::ApplicationOptions options;
  options.high_water_mark = 1000000;
  Load(kPieces, options);
  Begin();
  int blocks = 0;
  EXPECT_EQ(Joined(sink_.get(), &blocks), Expected());
  EXPECT_EQ(blocks, 0);
}

TEST_F(HttpCycle, TheRequestBodyComesInPiecesAndOnlyTheLastSaysSo) {
  Load(
      "async def app(scope, receive, send):\n"
      "  seen = []\n"
      "  while True:\n"
      "    message = await receive()\n"
      "    seen.append((message['body'], message['more_body']))\n"
      "    if not message['more_body']: break\n"
      "  await send({'type': 'http.response.start', 'status': 200})\n"
      "  await send({'type': 'http.response.body', 'body': repr(seen).encode()})\n");
  bridge::ExchangeRequest request;
  request.body = "one";
  request.body_complete = false;
  const auto exchange = Begin(std::move(request));
  RequestEvent chunk{RequestEvent::Kind::kBody};
  chunk.bytes = "two";
  Deliver(exchange, chunk);
  Deliver(exchange, {RequestEvent::Kind::kBodyEnd});
  const std::string body = sink_->At(0).body;
  EXPECT_EQ(body.find("[(b'one', True), (b'two'"), 0U) << body;
  EXPECT_EQ(body.rfind(", False)]"), body.size() - 9) << body;
}

TEST_F(HttpCycle, ADisconnectWakesReceiveAndMakesSendRaise) {
  Load(
      "async def app(scope, receive, send):\n"
      "  await receive()\n"
      "  kind = (await receive())['type']\n"
      "  try: await send({'type': 'http.response.start', 'status': 200})\n"
      "  except OSError as error: raise RuntimeError(kind + ' ' + type(error).__name__) from "
      "None\n");
  const auto exchange = Begin();
  Deliver(exchange, {RequestEvent::Kind::kDisconnect});
  // The client is gone, so what the app raised is a notice.
  const ResponseEvent& notice = notices_->At(0);
  ASSERT_EQ(notice.kind, Kind::kNotice);
  EXPECT_EQ(notice.failure->message, "http.disconnect ClientDisconnected");
}

TEST_F(HttpCycle, AnExceptionBeforeTheEndFailsTheExchange) {
  Load(
      "async def app(scope, receive, send):\n"
      "  raise LookupError('nothing here')\n");
  Begin();
  const ResponseEvent& event = sink_->At(0);
  ASSERT_EQ(event.kind, Kind::kFailed);
  EXPECT_EQ(event.failure->code, "ERR_PYTHON_EXCEPTION");
  EXPECT_EQ(event.failure->python_type, "LookupError");
}

TEST_F(HttpCycle, AnAppThatReturnsWithoutAnAnswerFailsTheExchange) {
  Load(
      "async def app(scope, receive, send):\n"
      "  if scope['query_string']: return\n");
  Begin();
  EXPECT_EQ(sink_->At(0).failure->code, "ERR_ASGI_NO_RESPONSE");
}

TEST_F(HttpCycle, SysExitEndsTheRequestAlone) {
  Load(
      "async def app(scope, receive, send):\n"
      "  sys.exit(3)\n");
  Begin();
  EXPECT_EQ(sink_->At(0).failure->python_type, "SystemExit");
  Begin();
  EXPECT_EQ(sink_->At(1).failure->python_type, "SystemExit");
}

TEST_F(HttpCycle, AHeldHeadLeavesAfterAShortDelay) {
  Load(
      "async def app(scope, receive, send):\n"
      "  await send({'type': 'http.response.start', 'status': 200})\n"
      "  await receive()\n"
      "  await receive()\n");
  const auto exchange = Begin();
  EXPECT_EQ(sink_->At(0).kind, Kind::kStart);
  Deliver(exchange, {RequestEvent::Kind::kDisconnect});
}

TEST_F(HttpCycle, CancelCancelsTheTask) {
  Load(
      "async def app(scope, receive, send):\n"
      "  try: await asyncio.sleep(60)\n"
      "  except asyncio.CancelledError: raise RuntimeError('cancelled') from None\n");
  const auto exchange = Begin();
  test::OnPython([](const python::GilHeld&) {});
  Deliver(exchange, {RequestEvent::Kind::kCancel});
  EXPECT_EQ(notices_->At(0).failure->message, "cancelled");
}

TEST_F(HttpCycle, AStoppedApplicationAnswersWhoeverStillWaits) {
  Load(
      "async def app(scope, receive, send):\n"
      "  try: await asyncio.sleep(60)\n"
      "  except asyncio.CancelledError: pass\n");
  Begin();
  test::OnPython([](const python::GilHeld&) {});
  const std::string report = Stop();
  EXPECT_NE(report.find("\"cancelled\": 1"), std::string::npos) << report;
  EXPECT_EQ(sink_->At(0).failure->code, "ERR_ASGI_CLOSED");
}

TEST_F(HttpCycle, WrongMessagesSayWhatWasExpectedAndWhatCame) {
  const std::pair<const char*, const char*> mistakes[] = {
      {"['x']", "send(): expected a message of type dict, got list"},
      {"{}", "send(): the message has no 'type'"},
      {"{'type': 5}", "send(): 'type': expected str, got int"},
      {"{'type': 'http.response.strat'}", "got 'http.response.strat'"},
      {"{'type': 'http.response.body'}",
       "expected 'http.response.start', got 'http.response.body'"},
      {"{'type': 'http.response.start'}", "the message has no 'status'"},
      {"{'type': 'http.response.start', 'status': '200'}", "status: expected int, got str"},
      {"{'type': 'http.response.start', 'status': 99}", "from 200 to 599, got 99"},
      {"{'type': 'http.response.start', 'status': 200, 'headers': 5}",
       "expected an iterable of pairs, got int"},
      {"{'type': 'http.response.start', 'status': 200, 'headers': [('a', 'b')]}",
       "header name: expected bytes, got str"},
      {"{'type': 'http.response.start', 'status': 200, 'headers': [(b'a', b'b\\r\\nc: d')]}",
       "control character"},
      {"{'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'x')]}",
       "expected a number"},
  };
  std::string source = "mistakes = [\n";
  for (const auto& mistake : mistakes) source += std::string("  ") + mistake.first + ",\n";
  Load(source +
       "]\n"
       "async def app(scope, receive, send):\n"
       "  answers = []\n"
       "  for mistake in mistakes:\n"
       "    try: await send(mistake); answers.append('nothing')\n"
       "    except Exception as error: answers.append(str(error))\n"
       "  await send({'type': 'http.response.start', 'status': 200})\n"
       "  await send({'type': 'http.response.body', 'body': '\\n'.join(answers).encode()})\n");
  Begin();
  std::istringstream answers(sink_->At(0).body);
  for (const auto& mistake : mistakes) {
    std::string answer;
    std::getline(answers, answer);
    EXPECT_NE(answer.find(mistake.second), std::string::npos) << mistake.first << " -> " << answer;
  }
}

}  // namespace
}  // namespace node_asgi
