// The parser of topology files. Not named CYaml: SwiftPM refuses two targets of one name in a build, and the Swift package
// Yams has that one. See docs/decisions/0027-topologies.md.
#include <yaml.h>
