// What di-factory does, by hand: a class whose instances were never constructed by `Ctor`. They get the own properties
// of an instance that was, and its prototype's methods.

type Constructor<A extends any[], T> = new (...args: A) => T;

export function factory<A extends any[], T extends object>(Ctor: Constructor<A, T>) {
  return (...args: A): new () => T => {
    function Factory(this: object): void {
      Object.assign(this, new Ctor(...args));
    }
    Factory.prototype = Object.create(Ctor.prototype, { constructor: { value: Factory, writable: true } });
    return Factory as unknown as new () => T;
  };
}
