// How the commands report what went wrong.
#pragma once

#include <stdexcept>

namespace bench {

/// Something the user gave cannot be used: a file, or a combination of options. The program ends with exit code 2.
struct input_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace bench
