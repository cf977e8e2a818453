// Written by make_sets.py: see there.
#pragma once

#include "engine.h"
#include "simd.h"

namespace PSINN_NAMESPACE {

using psinn::Monomial;
using psinn::Part;
using psinn::Partial;

// u
struct Value {
  static constexpr int n_channels = 1, n_units = 0;
  static constexpr int order = 0, n_parts = 0;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0};
  static constexpr Part parts[] = {{}};
  static constexpr Partial partials[] = {{}};
  static constexpr Monomial monomials[] = {{}};
};
// u, ux
struct First1 {
  static constexpr int n_channels = 2, n_units = 1;
  static constexpr int order = 1, n_parts = 0;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1};
  static constexpr Part parts[] = {{}};
  static constexpr Partial partials[] = {{}};
  static constexpr Monomial monomials[] = {{}};
};
// u, ux, uy
struct First2 {
  static constexpr int n_channels = 3, n_units = 2;
  static constexpr int order = 1, n_parts = 0;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1};
  static constexpr Part parts[] = {{}};
  static constexpr Partial partials[] = {{}};
  static constexpr Monomial monomials[] = {{}};
};
// u, ux, uy, uz
struct First3 {
  static constexpr int n_channels = 4, n_units = 3;
  static constexpr int order = 1, n_parts = 0;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 1};
  static constexpr Part parts[] = {{}};
  static constexpr Partial partials[] = {{}};
  static constexpr Monomial monomials[] = {{}};
};
// u, ux, uy, uz, ut
struct First4 {
  static constexpr int n_channels = 5, n_units = 4;
  static constexpr int order = 1, n_parts = 0;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 1, 1};
  static constexpr Part parts[] = {{}};
  static constexpr Partial partials[] = {{}};
  static constexpr Monomial monomials[] = {{}};
};
// u, ux, uxx
struct Second1 {
  static constexpr int n_channels = 3, n_units = 1;
  static constexpr int order = 2, n_parts = 1;
  static constexpr bool serves_last_alone = true;
  static constexpr int orders[] = {0, 1, 2};
  static constexpr Part parts[] = {{2, 2, 0, 1, 0, 1}};
  static constexpr Partial partials[] = {{1, 1, 2}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}};
};
// u, ux, uxx, uxxx
struct Third1 {
  static constexpr int n_channels = 4, n_units = 1;
  static constexpr int order = 3, n_parts = 3;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 2, 3};
  static constexpr Part parts[] = {{2, 2, 0, 1, 0, 1}, {3, 2, 2, 3, 1, 3}, {3, 3, 5, 6, 3, 4}};
  static constexpr Partial partials[] = {{1, 1, 2}, {1, 3, 4}, {2, 4, 5}, {1, 6, 7}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {3, 2, {1, 2}}, {3, 1, {2}}, {3, 1, {1}},
      {1, 3, {1, 1, 1}}, {3, 2, {1, 1}}};
};
// u, ux, uxx, uxxx, uxxxx
struct Fourth1 {
  static constexpr int n_channels = 5, n_units = 1;
  static constexpr int order = 4, n_parts = 6;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 2, 3, 4};
  static constexpr Part parts[] = {{2, 2, 0, 1, 0, 1}, {3, 2, 2, 3, 1, 3}, {3, 3, 5, 6, 3, 4}, {4, 2, 7, 9, 4, 7},
      {4, 3, 12, 13, 7, 9}, {4, 4, 15, 16, 9, 10}};
  static constexpr Partial partials[] = {{1, 1, 2}, {1, 3, 4}, {2, 4, 5}, {1, 6, 7}, {1, 9, 10}, {3, 10, 11},
      {2, 11, 12}, {1, 13, 14}, {2, 14, 15}, {1, 16, 17}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {3, 2, {1, 2}}, {3, 1, {2}}, {3, 1, {1}},
      {1, 3, {1, 1, 1}}, {3, 2, {1, 1}}, {4, 2, {1, 3}}, {3, 2, {2, 2}}, {4, 1, {3}}, {4, 1, {1}}, {6, 1, {2}},
      {6, 3, {1, 1, 2}}, {12, 2, {1, 2}}, {6, 2, {1, 1}}, {1, 4, {1, 1, 1, 1}}, {4, 3, {1, 1, 1}}};
};
// u, ux, uy, uyy
struct TimeSecond {
  static constexpr int n_channels = 4, n_units = 2;
  static constexpr int order = 2, n_parts = 1;
  static constexpr bool serves_last_alone = true;
  static constexpr int orders[] = {0, 1, 1, 2};
  static constexpr Part parts[] = {{3, 2, 0, 1, 0, 1}};
  static constexpr Partial partials[] = {{2, 1, 2}};
  static constexpr Monomial monomials[] = {{1, 2, {2, 2}}, {2, 1, {2}}};
};
// u, ux, uy, uxx
struct SecondTime {
  static constexpr int n_channels = 4, n_units = 2;
  static constexpr int order = 2, n_parts = 1;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 2};
  static constexpr Part parts[] = {{3, 2, 0, 1, 0, 1}};
  static constexpr Partial partials[] = {{1, 1, 2}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}};
};
// u, ux, uy, uyy, uyyy
struct TimeThird {
  static constexpr int n_channels = 5, n_units = 2;
  static constexpr int order = 3, n_parts = 3;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 2, 3};
  static constexpr Part parts[] = {{3, 2, 0, 1, 0, 1}, {4, 2, 2, 3, 1, 3}, {4, 3, 5, 6, 3, 4}};
  static constexpr Partial partials[] = {{2, 1, 2}, {2, 3, 4}, {3, 4, 5}, {2, 6, 7}};
  static constexpr Monomial monomials[] = {{1, 2, {2, 2}}, {2, 1, {2}}, {3, 2, {2, 3}}, {3, 1, {3}}, {3, 1, {2}},
      {1, 3, {2, 2, 2}}, {3, 2, {2, 2}}};
};
// u, ux, uy, uxx, uxxx
struct ThirdTime {
  static constexpr int n_channels = 5, n_units = 2;
  static constexpr int order = 3, n_parts = 3;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 2, 3};
  static constexpr Part parts[] = {{3, 2, 0, 1, 0, 1}, {4, 2, 2, 3, 1, 3}, {4, 3, 5, 6, 3, 4}};
  static constexpr Partial partials[] = {{1, 1, 2}, {1, 3, 4}, {3, 4, 5}, {1, 6, 7}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {3, 2, {1, 3}}, {3, 1, {3}}, {3, 1, {1}},
      {1, 3, {1, 1, 1}}, {3, 2, {1, 1}}};
};
// u, ux, uy, uyy, uyyy, uyyyy
struct TimeFourth {
  static constexpr int n_channels = 6, n_units = 2;
  static constexpr int order = 4, n_parts = 6;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 2, 3, 4};
  static constexpr Part parts[] = {{3, 2, 0, 1, 0, 1}, {4, 2, 2, 3, 1, 3}, {4, 3, 5, 6, 3, 4}, {5, 2, 7, 9, 4, 7},
      {5, 3, 12, 13, 7, 9}, {5, 4, 15, 16, 9, 10}};
  static constexpr Partial partials[] = {{2, 1, 2}, {2, 3, 4}, {3, 4, 5}, {2, 6, 7}, {2, 9, 10}, {4, 10, 11},
      {3, 11, 12}, {2, 13, 14}, {3, 14, 15}, {2, 16, 17}};
  static constexpr Monomial monomials[] = {{1, 2, {2, 2}}, {2, 1, {2}}, {3, 2, {2, 3}}, {3, 1, {3}}, {3, 1, {2}},
      {1, 3, {2, 2, 2}}, {3, 2, {2, 2}}, {4, 2, {2, 4}}, {3, 2, {3, 3}}, {4, 1, {4}}, {4, 1, {2}}, {6, 1, {3}},
      {6, 3, {2, 2, 3}}, {12, 2, {2, 3}}, {6, 2, {2, 2}}, {1, 4, {2, 2, 2, 2}}, {4, 3, {2, 2, 2}}};
};
// u, ux, uy, uxx, uxxx, uxxxx
struct FourthTime {
  static constexpr int n_channels = 6, n_units = 2;
  static constexpr int order = 4, n_parts = 6;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 2, 3, 4};
  static constexpr Part parts[] = {{3, 2, 0, 1, 0, 1}, {4, 2, 2, 3, 1, 3}, {4, 3, 5, 6, 3, 4}, {5, 2, 7, 9, 4, 7},
      {5, 3, 12, 13, 7, 9}, {5, 4, 15, 16, 9, 10}};
  static constexpr Partial partials[] = {{1, 1, 2}, {1, 3, 4}, {3, 4, 5}, {1, 6, 7}, {1, 9, 10}, {4, 10, 11},
      {3, 11, 12}, {1, 13, 14}, {3, 14, 15}, {1, 16, 17}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {3, 2, {1, 3}}, {3, 1, {3}}, {3, 1, {1}},
      {1, 3, {1, 1, 1}}, {3, 2, {1, 1}}, {4, 2, {1, 4}}, {3, 2, {3, 3}}, {4, 1, {4}}, {4, 1, {1}}, {6, 1, {3}},
      {6, 3, {1, 1, 3}}, {12, 2, {1, 3}}, {6, 2, {1, 1}}, {1, 4, {1, 1, 1, 1}}, {4, 3, {1, 1, 1}}};
};
// u, ux, uy, Laplacian(xy)
struct Laplacian2 {
  static constexpr int n_channels = 4, n_units = 2;
  static constexpr int order = 2, n_parts = 1;
  static constexpr bool serves_last_alone = true;
  static constexpr int orders[] = {0, 1, 1, 2};
  static constexpr Part parts[] = {{3, 2, 0, 2, 0, 2}};
  static constexpr Partial partials[] = {{1, 2, 3}, {2, 3, 4}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {1, 2, {2, 2}}, {2, 1, {1}}, {2, 1, {2}}};
};
// u, ux, uy, uxx, uyy
struct Squares2 {
  static constexpr int n_channels = 5, n_units = 2;
  static constexpr int order = 2, n_parts = 2;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 2, 2};
  static constexpr Part parts[] = {{3, 2, 0, 1, 0, 1}, {4, 2, 2, 3, 1, 2}};
  static constexpr Partial partials[] = {{1, 1, 2}, {2, 3, 4}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {1, 2, {2, 2}}, {2, 1, {2}}};
};
// u, ux, uy, uxx, uxy, uyy
struct Second2 {
  static constexpr int n_channels = 6, n_units = 2;
  static constexpr int order = 2, n_parts = 3;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 2, 2, 2};
  static constexpr Part parts[] = {{3, 2, 0, 1, 0, 1}, {4, 2, 2, 3, 1, 3}, {5, 2, 5, 6, 3, 4}};
  static constexpr Partial partials[] = {{1, 1, 2}, {1, 3, 4}, {2, 4, 5}, {2, 6, 7}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {1, 2, {1, 2}}, {1, 1, {2}}, {1, 1, {1}},
      {1, 2, {2, 2}}, {2, 1, {2}}};
};
// u, ux, uy, uxx, uxy, uyy, uxxx, uxxy, uxyy, uyyy
struct Third2 {
  static constexpr int n_channels = 10, n_units = 2;
  static constexpr int order = 3, n_parts = 11;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 2, 2, 2, 3, 3, 3, 3};
  static constexpr Part parts[] = {{3, 2, 0, 1, 0, 1}, {4, 2, 2, 3, 1, 3}, {5, 2, 5, 6, 3, 4}, {6, 2, 7, 8, 4, 6},
      {6, 3, 10, 11, 6, 7}, {7, 2, 12, 14, 7, 11}, {7, 3, 18, 19, 11, 13}, {8, 2, 21, 23, 13, 17},
      {8, 3, 27, 28, 17, 19}, {9, 2, 30, 31, 19, 21}, {9, 3, 33, 34, 21, 22}};
  static constexpr Partial partials[] = {{1, 1, 2}, {1, 3, 4}, {2, 4, 5}, {2, 6, 7}, {1, 8, 9}, {3, 9, 10}, {1, 11, 12},
      {1, 14, 15}, {4, 15, 16}, {2, 16, 17}, {3, 17, 18}, {1, 19, 20}, {2, 20, 21}, {1, 23, 24}, {5, 24, 25},
      {2, 25, 26}, {4, 26, 27}, {1, 28, 29}, {2, 29, 30}, {2, 31, 32}, {5, 32, 33}, {2, 34, 35}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {1, 2, {1, 2}}, {1, 1, {2}}, {1, 1, {1}},
      {1, 2, {2, 2}}, {2, 1, {2}}, {3, 2, {1, 3}}, {3, 1, {3}}, {3, 1, {1}}, {1, 3, {1, 1, 1}}, {3, 2, {1, 1}},
      {2, 2, {1, 4}}, {1, 2, {2, 3}}, {2, 1, {4}}, {2, 1, {1}}, {1, 1, {3}}, {1, 1, {2}}, {1, 3, {1, 1, 2}},
      {2, 2, {1, 2}}, {1, 2, {1, 1}}, {1, 2, {1, 5}}, {2, 2, {2, 4}}, {1, 1, {5}}, {1, 1, {1}}, {2, 1, {4}},
      {2, 1, {2}}, {1, 3, {1, 2, 2}}, {1, 2, {2, 2}}, {2, 2, {1, 2}}, {3, 2, {2, 5}}, {3, 1, {5}}, {3, 1, {2}},
      {1, 3, {2, 2, 2}}, {3, 2, {2, 2}}};
};
// u, ux, uy, uxx, uxy, uyy, uxxx, uxxy, uxyy, uyyy, uxxxx, uxxyy, uyyyy
struct Biharmonic2 {
  static constexpr int n_channels = 13, n_units = 2;
  static constexpr int order = 4, n_parts = 20;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4};
  static constexpr Part parts[] = {{3, 2, 0, 1, 0, 1}, {4, 2, 2, 3, 1, 3}, {5, 2, 5, 6, 3, 4}, {6, 2, 7, 8, 4, 6},
      {6, 3, 10, 11, 6, 7}, {7, 2, 12, 14, 7, 11}, {7, 3, 18, 19, 11, 13}, {8, 2, 21, 23, 13, 17},
      {8, 3, 27, 28, 17, 19}, {9, 2, 30, 31, 19, 21}, {9, 3, 33, 34, 21, 22}, {10, 2, 35, 37, 22, 25},
      {10, 3, 40, 41, 25, 27}, {10, 4, 43, 44, 27, 28}, {11, 2, 45, 49, 28, 35}, {11, 3, 56, 59, 35, 40},
      {11, 4, 66, 67, 40, 42}, {12, 2, 69, 71, 42, 45}, {12, 3, 74, 75, 45, 47}, {12, 4, 77, 78, 47, 48}};
  static constexpr Partial partials[] = {{1, 1, 2}, {1, 3, 4}, {2, 4, 5}, {2, 6, 7}, {1, 8, 9}, {3, 9, 10}, {1, 11, 12},
      {1, 14, 15}, {4, 15, 16}, {2, 16, 17}, {3, 17, 18}, {1, 19, 20}, {2, 20, 21}, {1, 23, 24}, {5, 24, 25},
      {2, 25, 26}, {4, 26, 27}, {1, 28, 29}, {2, 29, 30}, {2, 31, 32}, {5, 32, 33}, {2, 34, 35}, {1, 37, 38},
      {6, 38, 39}, {3, 39, 40}, {1, 41, 42}, {3, 42, 43}, {1, 44, 45}, {1, 49, 50}, {8, 50, 51}, {2, 51, 52},
      {7, 52, 53}, {3, 53, 54}, {5, 54, 55}, {4, 55, 56}, {1, 59, 61}, {5, 61, 62}, {2, 62, 64}, {4, 64, 65},
      {3, 65, 66}, {1, 67, 68}, {2, 68, 69}, {2, 71, 72}, {9, 72, 73}, {5, 73, 74}, {2, 75, 76}, {5, 76, 77},
      {2, 78, 79}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {1, 2, {1, 2}}, {1, 1, {2}}, {1, 1, {1}},
      {1, 2, {2, 2}}, {2, 1, {2}}, {3, 2, {1, 3}}, {3, 1, {3}}, {3, 1, {1}}, {1, 3, {1, 1, 1}}, {3, 2, {1, 1}},
      {2, 2, {1, 4}}, {1, 2, {2, 3}}, {2, 1, {4}}, {2, 1, {1}}, {1, 1, {3}}, {1, 1, {2}}, {1, 3, {1, 1, 2}},
      {2, 2, {1, 2}}, {1, 2, {1, 1}}, {1, 2, {1, 5}}, {2, 2, {2, 4}}, {1, 1, {5}}, {1, 1, {1}}, {2, 1, {4}},
      {2, 1, {2}}, {1, 3, {1, 2, 2}}, {1, 2, {2, 2}}, {2, 2, {1, 2}}, {3, 2, {2, 5}}, {3, 1, {5}}, {3, 1, {2}},
      {1, 3, {2, 2, 2}}, {3, 2, {2, 2}}, {4, 2, {1, 6}}, {3, 2, {3, 3}}, {4, 1, {6}}, {4, 1, {1}}, {6, 1, {3}},
      {6, 3, {1, 1, 3}}, {12, 2, {1, 3}}, {6, 2, {1, 1}}, {1, 4, {1, 1, 1, 1}}, {4, 3, {1, 1, 1}}, {2, 2, {1, 8}},
      {2, 2, {2, 7}}, {1, 2, {3, 5}}, {2, 2, {4, 4}}, {2, 1, {8}}, {2, 1, {1}}, {2, 1, {7}}, {2, 1, {2}}, {1, 1, {5}},
      {1, 1, {3}}, {4, 1, {4}}, {1, 3, {1, 1, 5}}, {4, 3, {1, 2, 4}}, {1, 3, {2, 2, 3}}, {2, 2, {1, 5}}, {4, 2, {2, 4}},
      {1, 2, {1, 1}}, {4, 2, {1, 4}}, {2, 2, {2, 3}}, {4, 2, {1, 2}}, {1, 2, {2, 2}}, {1, 4, {1, 1, 2, 2}},
      {2, 3, {1, 2, 2}}, {2, 3, {1, 1, 2}}, {4, 2, {2, 9}}, {3, 2, {5, 5}}, {4, 1, {9}}, {4, 1, {2}}, {6, 1, {5}},
      {6, 3, {2, 2, 5}}, {12, 2, {2, 5}}, {6, 2, {2, 2}}, {1, 4, {2, 2, 2, 2}}, {4, 3, {2, 2, 2}}};
};
// u, ux, uy, uxx, uxy, uyy, uxxx, uxxy, uxyy, uyyy, uxxxx, uxxxy, uxxyy, uxyyy, uyyyy
struct Fourth2 {
  static constexpr int n_channels = 15, n_units = 2;
  static constexpr int order = 4, n_parts = 26;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4};
  static constexpr Part parts[] = {{3, 2, 0, 1, 0, 1}, {4, 2, 2, 3, 1, 3}, {5, 2, 5, 6, 3, 4}, {6, 2, 7, 8, 4, 6},
      {6, 3, 10, 11, 6, 7}, {7, 2, 12, 14, 7, 11}, {7, 3, 18, 19, 11, 13}, {8, 2, 21, 23, 13, 17},
      {8, 3, 27, 28, 17, 19}, {9, 2, 30, 31, 19, 21}, {9, 3, 33, 34, 21, 22}, {10, 2, 35, 37, 22, 25},
      {10, 3, 40, 41, 25, 27}, {10, 4, 43, 44, 27, 28}, {11, 2, 45, 48, 28, 34}, {11, 3, 54, 56, 34, 38},
      {11, 4, 61, 62, 38, 40}, {12, 2, 64, 68, 40, 47}, {12, 3, 75, 78, 47, 52}, {12, 4, 85, 86, 52, 54},
      {13, 2, 88, 91, 54, 60}, {13, 3, 97, 99, 60, 64}, {13, 4, 104, 105, 64, 66}, {14, 2, 107, 109, 66, 69},
      {14, 3, 112, 113, 69, 71}, {14, 4, 115, 116, 71, 72}};
  static constexpr Partial partials[] = {{1, 1, 2}, {1, 3, 4}, {2, 4, 5}, {2, 6, 7}, {1, 8, 9}, {3, 9, 10}, {1, 11, 12},
      {1, 14, 15}, {4, 15, 16}, {2, 16, 17}, {3, 17, 18}, {1, 19, 20}, {2, 20, 21}, {1, 23, 24}, {5, 24, 25},
      {2, 25, 26}, {4, 26, 27}, {1, 28, 29}, {2, 29, 30}, {2, 31, 32}, {5, 32, 33}, {2, 34, 35}, {1, 37, 38},
      {6, 38, 39}, {3, 39, 40}, {1, 41, 42}, {3, 42, 43}, {1, 44, 45}, {1, 48, 49}, {7, 49, 50}, {2, 50, 51},
      {6, 51, 52}, {3, 52, 53}, {4, 53, 54}, {1, 56, 58}, {4, 58, 59}, {2, 59, 60}, {3, 60, 61}, {1, 62, 63},
      {2, 63, 64}, {1, 68, 69}, {8, 69, 70}, {2, 70, 71}, {7, 71, 72}, {3, 72, 73}, {5, 73, 74}, {4, 74, 75},
      {1, 78, 80}, {5, 80, 81}, {2, 81, 83}, {4, 83, 84}, {3, 84, 85}, {1, 86, 87}, {2, 87, 88}, {1, 91, 92},
      {9, 92, 93}, {2, 93, 94}, {8, 94, 95}, {4, 95, 96}, {5, 96, 97}, {1, 99, 100}, {2, 100, 102}, {5, 102, 103},
      {4, 103, 104}, {1, 105, 106}, {2, 106, 107}, {2, 109, 110}, {9, 110, 111}, {5, 111, 112}, {2, 113, 114},
      {5, 114, 115}, {2, 116, 117}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {1, 2, {1, 2}}, {1, 1, {2}}, {1, 1, {1}},
      {1, 2, {2, 2}}, {2, 1, {2}}, {3, 2, {1, 3}}, {3, 1, {3}}, {3, 1, {1}}, {1, 3, {1, 1, 1}}, {3, 2, {1, 1}},
      {2, 2, {1, 4}}, {1, 2, {2, 3}}, {2, 1, {4}}, {2, 1, {1}}, {1, 1, {3}}, {1, 1, {2}}, {1, 3, {1, 1, 2}},
      {2, 2, {1, 2}}, {1, 2, {1, 1}}, {1, 2, {1, 5}}, {2, 2, {2, 4}}, {1, 1, {5}}, {1, 1, {1}}, {2, 1, {4}},
      {2, 1, {2}}, {1, 3, {1, 2, 2}}, {1, 2, {2, 2}}, {2, 2, {1, 2}}, {3, 2, {2, 5}}, {3, 1, {5}}, {3, 1, {2}},
      {1, 3, {2, 2, 2}}, {3, 2, {2, 2}}, {4, 2, {1, 6}}, {3, 2, {3, 3}}, {4, 1, {6}}, {4, 1, {1}}, {6, 1, {3}},
      {6, 3, {1, 1, 3}}, {12, 2, {1, 3}}, {6, 2, {1, 1}}, {1, 4, {1, 1, 1, 1}}, {4, 3, {1, 1, 1}}, {3, 2, {1, 7}},
      {1, 2, {2, 6}}, {3, 2, {3, 4}}, {3, 1, {7}}, {3, 1, {1}}, {1, 1, {6}}, {1, 1, {2}}, {3, 1, {4}}, {3, 1, {3}},
      {3, 3, {1, 1, 4}}, {3, 3, {1, 2, 3}}, {6, 2, {1, 4}}, {3, 2, {2, 3}}, {3, 2, {1, 1}}, {3, 2, {1, 3}},
      {3, 2, {1, 2}}, {1, 4, {1, 1, 1, 2}}, {3, 3, {1, 1, 2}}, {1, 3, {1, 1, 1}}, {2, 2, {1, 8}}, {2, 2, {2, 7}},
      {1, 2, {3, 5}}, {2, 2, {4, 4}}, {2, 1, {8}}, {2, 1, {1}}, {2, 1, {7}}, {2, 1, {2}}, {1, 1, {5}}, {1, 1, {3}},
      {4, 1, {4}}, {1, 3, {1, 1, 5}}, {4, 3, {1, 2, 4}}, {1, 3, {2, 2, 3}}, {2, 2, {1, 5}}, {4, 2, {2, 4}},
      {1, 2, {1, 1}}, {4, 2, {1, 4}}, {2, 2, {2, 3}}, {4, 2, {1, 2}}, {1, 2, {2, 2}}, {1, 4, {1, 1, 2, 2}},
      {2, 3, {1, 2, 2}}, {2, 3, {1, 1, 2}}, {1, 2, {1, 9}}, {3, 2, {2, 8}}, {3, 2, {4, 5}}, {1, 1, {9}}, {1, 1, {1}},
      {3, 1, {8}}, {3, 1, {2}}, {3, 1, {5}}, {3, 1, {4}}, {3, 3, {1, 2, 5}}, {3, 3, {2, 2, 4}}, {3, 2, {2, 5}},
      {3, 2, {1, 5}}, {6, 2, {2, 4}}, {3, 2, {1, 2}}, {3, 2, {2, 2}}, {1, 4, {1, 2, 2, 2}}, {1, 3, {2, 2, 2}},
      {3, 3, {1, 2, 2}}, {4, 2, {2, 9}}, {3, 2, {5, 5}}, {4, 1, {9}}, {4, 1, {2}}, {6, 1, {5}}, {6, 3, {2, 2, 5}},
      {12, 2, {2, 5}}, {6, 2, {2, 2}}, {1, 4, {2, 2, 2, 2}}, {4, 3, {2, 2, 2}}};
};
// u, ux, uy, uz, Laplacian(xyz)
struct Laplacian3 {
  static constexpr int n_channels = 5, n_units = 3;
  static constexpr int order = 2, n_parts = 1;
  static constexpr bool serves_last_alone = true;
  static constexpr int orders[] = {0, 1, 1, 1, 2};
  static constexpr Part parts[] = {{4, 2, 0, 3, 0, 3}};
  static constexpr Partial partials[] = {{1, 3, 4}, {2, 4, 5}, {3, 5, 6}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {1, 2, {2, 2}}, {1, 2, {3, 3}}, {2, 1, {1}}, {2, 1, {2}},
      {2, 1, {3}}};
};
// u, ux, uy, uz, Laplacian(yz)
struct TimeLaplacian2 {
  static constexpr int n_channels = 5, n_units = 3;
  static constexpr int order = 2, n_parts = 1;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 1, 2};
  static constexpr Part parts[] = {{4, 2, 0, 2, 0, 2}};
  static constexpr Partial partials[] = {{2, 2, 3}, {3, 3, 4}};
  static constexpr Monomial monomials[] = {{1, 2, {2, 2}}, {1, 2, {3, 3}}, {2, 1, {2}}, {2, 1, {3}}};
};
// u, ux, uy, uz, Laplacian(xy)
struct Laplacian2Time {
  static constexpr int n_channels = 5, n_units = 3;
  static constexpr int order = 2, n_parts = 1;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 1, 2};
  static constexpr Part parts[] = {{4, 2, 0, 2, 0, 2}};
  static constexpr Partial partials[] = {{1, 2, 3}, {2, 3, 4}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {1, 2, {2, 2}}, {2, 1, {1}}, {2, 1, {2}}};
};
// u, ux, uy, uz, uyy, uzz
struct TimeSquares2 {
  static constexpr int n_channels = 6, n_units = 3;
  static constexpr int order = 2, n_parts = 2;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 1, 2, 2};
  static constexpr Part parts[] = {{4, 2, 0, 1, 0, 1}, {5, 2, 2, 3, 1, 2}};
  static constexpr Partial partials[] = {{2, 1, 2}, {3, 3, 4}};
  static constexpr Monomial monomials[] = {{1, 2, {2, 2}}, {2, 1, {2}}, {1, 2, {3, 3}}, {2, 1, {3}}};
};
// u, ux, uy, uz, uxx, uyy
struct Squares2Time {
  static constexpr int n_channels = 6, n_units = 3;
  static constexpr int order = 2, n_parts = 2;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 1, 2, 2};
  static constexpr Part parts[] = {{4, 2, 0, 1, 0, 1}, {5, 2, 2, 3, 1, 2}};
  static constexpr Partial partials[] = {{1, 1, 2}, {2, 3, 4}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {1, 2, {2, 2}}, {2, 1, {2}}};
};
// u, ux, uy, uz, uxx, uyy, uzz
struct Squares3 {
  static constexpr int n_channels = 7, n_units = 3;
  static constexpr int order = 2, n_parts = 3;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 1, 2, 2, 2};
  static constexpr Part parts[] = {{4, 2, 0, 1, 0, 1}, {5, 2, 2, 3, 1, 2}, {6, 2, 4, 5, 2, 3}};
  static constexpr Partial partials[] = {{1, 1, 2}, {2, 3, 4}, {3, 5, 6}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {1, 2, {2, 2}}, {2, 1, {2}}, {1, 2, {3, 3}},
      {2, 1, {3}}};
};
// u, ux, uy, uz, uxx, uxy, uxz, uyy, uyz, uzz
struct Second3 {
  static constexpr int n_channels = 10, n_units = 3;
  static constexpr int order = 2, n_parts = 6;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 1, 2, 2, 2, 2, 2, 2};
  static constexpr Part parts[] = {{4, 2, 0, 1, 0, 1}, {5, 2, 2, 3, 1, 3}, {6, 2, 5, 6, 3, 5}, {7, 2, 8, 9, 5, 6},
      {8, 2, 10, 11, 6, 8}, {9, 2, 13, 14, 8, 9}};
  static constexpr Partial partials[] = {{1, 1, 2}, {1, 3, 4}, {2, 4, 5}, {1, 6, 7}, {3, 7, 8}, {2, 9, 10}, {2, 11, 12},
      {3, 12, 13}, {3, 14, 15}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {1, 2, {1, 2}}, {1, 1, {2}}, {1, 1, {1}},
      {1, 2, {1, 3}}, {1, 1, {3}}, {1, 1, {1}}, {1, 2, {2, 2}}, {2, 1, {2}}, {1, 2, {2, 3}}, {1, 1, {3}}, {1, 1, {2}},
      {1, 2, {3, 3}}, {2, 1, {3}}};
};
// u, ux, uy, uz, ut, Laplacian(yzt)
struct TimeLaplacian3 {
  static constexpr int n_channels = 6, n_units = 4;
  static constexpr int order = 2, n_parts = 1;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 1, 1, 2};
  static constexpr Part parts[] = {{5, 2, 0, 3, 0, 3}};
  static constexpr Partial partials[] = {{2, 3, 4}, {3, 4, 5}, {4, 5, 6}};
  static constexpr Monomial monomials[] = {{1, 2, {2, 2}}, {1, 2, {3, 3}}, {1, 2, {4, 4}}, {2, 1, {2}}, {2, 1, {3}},
      {2, 1, {4}}};
};
// u, ux, uy, uz, ut, Laplacian(xyz)
struct Laplacian3Time {
  static constexpr int n_channels = 6, n_units = 4;
  static constexpr int order = 2, n_parts = 1;
  static constexpr bool serves_last_alone = false;
  static constexpr int orders[] = {0, 1, 1, 1, 1, 2};
  static constexpr Part parts[] = {{5, 2, 0, 3, 0, 3}};
  static constexpr Partial partials[] = {{1, 3, 4}, {2, 4, 5}, {3, 5, 6}};
  static constexpr Monomial monomials[] = {{1, 2, {1, 1}}, {1, 2, {2, 2}}, {1, 2, {3, 3}}, {2, 1, {1}}, {2, 1, {2}},
      {2, 1, {3}}};
};

template <class... Sets>
struct SetList {};
using KnownSets =
    SetList<Value, First1, First2, First3, First4, Second1, Third1, Fourth1, TimeSecond, SecondTime, TimeThird,
            ThirdTime, TimeFourth, FourthTime, Laplacian2, Squares2, Second2, Third2, Biharmonic2, Fourth2, Laplacian3,
            TimeLaplacian2, Laplacian2Time, TimeSquares2, Squares2Time, Squares3, Second3, TimeLaplacian3,
            Laplacian3Time>;

}  // namespace PSINN_NAMESPACE
