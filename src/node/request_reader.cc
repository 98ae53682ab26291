#include "node/request_reader.h"

#include <algorithm>

namespace node_asgi::node {

std::string ReadLatin1(napi_env env, napi_value value, std::vector<std::string>* spare) {
  // Most heads fit the first buffer, which saves asking for the length.
  char buffer[2048];
  size_t size = 0;
  napi_get_value_string_latin1(env, value, buffer, sizeof buffer, &size);
  if (size < sizeof buffer - 1) {
    std::string text;
    if (spare != nullptr && !spare->empty()) {
      text = std::move(spare->back());
      spare->pop_back();
      if (!spare->empty()) bridge::PrefetchForWriting<2 * bridge::kCacheLine>(spare->back().data());
    }
    text.reserve(std::max(size, bridge::kUsualHead));
    text.assign(buffer, size);
    return text;
  }
  napi_get_value_string_latin1(env, value, nullptr, 0, &size);
  std::string text(size + 1, '\0');
  napi_get_value_string_latin1(env, value, text.data(), text.size(), &size);
  text.resize(size);
  return text;
}

std::string ReadBytes(Napi::Value value) {
  if (!value.IsTypedArray()) return {};
  const auto array = value.As<Napi::Uint8Array>();
  return std::string(reinterpret_cast<const char*>(array.Data()), array.ByteLength());
}

bridge::ExchangeRequest ReadRequest(const Napi::CallbackInfo& info,
                                    std::vector<std::string>* spare_heads) {
  bridge::ExchangeRequest request;
  request.head = ReadLatin1(info.Env(), info[0], spare_heads);
  request.body = ReadBytes(info[1]);
  const uint32_t flags = info[2].As<Napi::Number>().Uint32Value();
  request.body_complete = (flags & kBodyComplete) != 0;
  request.abilities = flags >> kAbilityShift;
  const auto text = [](Napi::Value value) {
    return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
  };
  if (info[3].IsString() || info[4].IsString()) {
    request.extras =
        std::make_unique<bridge::ScopeExtras>(bridge::ScopeExtras{text(info[3]), text(info[4])});
  }
  return request;
}

}  // namespace node_asgi::node
