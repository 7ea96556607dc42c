// What can be measured: metrics and element types. Includes nothing, because files with compiler flags of their own
// include it, and they must not instantiate what other files share.
#pragma once

namespace bench {

enum class metric { l2, ip, cosine, l1, chebyshev, hamming, jaccard };
enum class element { f32, f64, f16, bf16, i8, u8, bits };

[[nodiscard]] constexpr const char* name_of(metric m) {
  switch (m) {
    case metric::l2:
      return "l2";
    case metric::ip:
      return "ip";
    case metric::cosine:
      return "cosine";
    case metric::l1:
      return "l1";
    case metric::chebyshev:
      return "chebyshev";
    case metric::hamming:
      return "hamming";
    case metric::jaccard:
      break;
  }
  return "jaccard";
}

[[nodiscard]] constexpr const char* name_of(element e) {
  switch (e) {
    case element::f32:
      return "f32";
    case element::f64:
      return "f64";
    case element::f16:
      return "f16";
    case element::bf16:
      return "bf16";
    case element::i8:
      return "i8";
    case element::u8:
      return "u8";
    case element::bits:
      break;
  }
  return "bits";
}

}  // namespace bench
