#include "node/response_writer.h"

#include <utility>

#include "bridge/exchange.h"
#include "node/js_error.h"

namespace node_asgi::node {

using Kind = bridge::ResponseEvent::Kind;

ResponseWriter::ResponseWriter(Napi::Env env) {
  Napi::Uint32Array numbers = Napi::Uint32Array::New(env, kCapacity * kNumbers);
  number_data_ = numbers.Data();
  numbers_ = Napi::Persistent(numbers);
  Clear();
}

Napi::Value ResponseWriter::Body(Napi::Env env, std::string& body) {
  if (body.empty()) return env.Undefined();
  if (body.size() >= kOwnedBody) {
    auto* const kept = new std::string(std::move(body));
    napi_value buffer = nullptr;
    const napi_status made = napi_create_external_buffer(
        env, kept->size(), kept->data(),
        [](napi_env, void*, void* text) { delete static_cast<std::string*>(text); }, kept, &buffer);
    if (made == napi_ok) return Napi::Value(env, buffer);
    body = std::move(*kept);  // an environment that allows no such buffers
    delete kept;
  }
  if (body.size() > kStringBody) return Napi::Buffer<char>::Copy(env, body.data(), body.size());
  napi_value text = nullptr;
  napi_create_string_latin1(env, body.data(), body.size(), &text);
  return Napi::Value(env, text);
}

void ResponseWriter::Add(Napi::Env env, bridge::ResponseEvent& event, uint32_t slot) {
  uint32_t* numbers = number_data_ + count_++ * kNumbers;
  const bool has_status = event.kind == Kind::kWhole || event.kind == Kind::kStart;
  numbers[0] = static_cast<uint32_t>(event.kind);
  numbers[1] = slot;
  numbers[2] =
      has_status ? static_cast<uint32_t>(event.status) : static_cast<uint32_t>(event.amount);
  const auto headers = [&] {
    napi_value text = nullptr;
    napi_create_string_latin1(env, event.headers.data(), event.headers.size(), &text);
    arguments_.push_back(text);
    const size_t memory = event.headers.capacity();
    if (memory >= bridge::kUsualHead && memory <= kSpareHead && spare_heads_.size() < kCapacity)
      spare_heads_.push_back(std::move(event.headers));
  };
  switch (event.kind) {
    case Kind::kWhole:
      headers();
      arguments_.push_back(Body(env, event.body));
      break;
    case Kind::kStart:
    case Kind::kHint:
      headers();
      break;
    case Kind::kChunk:
    case Kind::kText:
    case Kind::kBinary:
      arguments_.push_back(Body(env, event.body));
      break;
    case Kind::kEnd:
      arguments_.push_back(Body(env, event.body));
      headers();
      break;
    case Kind::kPush:
      arguments_.push_back(Napi::String::New(env, event.body));
      headers();
      break;
    case Kind::kFile:
      // JavaScript closes it from here on; numbers[2] is its descriptor.
      numbers[2] = static_cast<uint32_t>(event.file.Release());
      arguments_.push_back(Napi::Number::New(env, static_cast<double>(event.offset)));
      arguments_.push_back(Napi::Number::New(env, static_cast<double>(event.amount)));
      break;
    case Kind::kBlock:
      // JavaScript gives it back from here on; numbers[2] is how much of it is used.
      arguments_.push_back(Napi::Number::New(env, event.block.Release()));
      break;
    case Kind::kDebug:
    case Kind::kClose:
      arguments_.push_back(Napi::String::New(env, event.body));
      break;
    case Kind::kAccept:
      arguments_.push_back(Napi::String::New(env, event.body));
      headers();
      break;
    case Kind::kFailed:
      arguments_.push_back(ToFailureObject(env, *event.failure));
      break;
    case Kind::kSettled:
    case Kind::kNotice:
      arguments_.push_back(Napi::String::New(env, event.body));
      arguments_.push_back(event.failure ? Napi::Value(ToFailureObject(env, *event.failure))
                                         : env.Undefined());
      break;
    case Kind::kConsumed:
      break;
  }
}

std::vector<napi_value> ResponseWriter::TakeArguments(Napi::Env env) {
  arguments_[0] = Napi::Number::New(env, static_cast<double>(count_));
  arguments_[1] = numbers_.Value();
  std::vector<napi_value> taken = std::move(arguments_);
  Clear();
  return taken;
}

void ResponseWriter::Clear() {
  arguments_.clear();
  arguments_.reserve(kBeforeValues + kCapacity * 2);
  arguments_.resize(kBeforeValues);
  count_ = 0;
}

}  // namespace node_asgi::node
