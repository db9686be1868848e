module detour.dev/bench/soak

go 1.23
