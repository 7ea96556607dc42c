#pragma once

/// The version of the library, as three numbers (semantic versioning 2.0).
#define ALIDADE_VERSION_MAJOR 0
#define ALIDADE_VERSION_MINOR 1
#define ALIDADE_VERSION_PATCH 0
