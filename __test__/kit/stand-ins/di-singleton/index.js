"use strict";

// What backtest-kit needs of di-singleton: `new` on the result gives the one instance of the class.

exports.singleton = (Class) => {
  let instance = null;
  return function () {
    return (instance ??= new Class());
  };
};
