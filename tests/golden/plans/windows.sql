-- title: the latest value of each person
SELECT avg(value) FROM (SELECT value, row_number() OVER (PARTITION BY patient_id ORDER BY day DESC) AS rn FROM liver.measurements WHERE test = 'sbp') WHERE rn = 1;
--> reads liver.measurements (at most 60 rows a person count): patient_id, day, test, value
--> keeps rows where test = 'sbp'
--> computes d0.0 = row number by day descending within the person
--> keeps rows where d0.0 = 1
--> measure 1: sum of deviations of value, clamped to 60 .. 260 in steps of 0.01
--> measure 2: count of rows
--> each person counts with one row
--> shows avg(value): mean from measures 1 and 2

-- title: the first three, with QUALIFY
SELECT avg(value) FROM (SELECT * FROM liver.measurements WHERE test = 'sbp' QUALIFY row_number() OVER (PARTITION BY patient_id ORDER BY day) <= 3);
--> reads liver.measurements (at most 60 rows a person count): patient_id, day, test, value
--> keeps rows where test = 'sbp'
--> computes d0.0 = row number by day within the person
--> keeps rows where d0.0 <= 3
--> measure 1: sum of deviations of value, clamped to 60 .. 260 in steps of 0.01
--> measure 2: count of rows
--> each person counts with at most 3 rows
--> shows avg(value): mean from measures 1 and 2

-- title: the first of each test
SELECT test, avg(value) FROM (SELECT test, value FROM liver.measurements QUALIFY row_number() OVER (PARTITION BY patient_id, test ORDER BY day) = 1) GROUP BY test;
--> reads liver.measurements (at most 60 rows a person count): patient_id, day, test, value
--> computes d0.0 = row number by day within the person and test
--> keeps rows where d0.0 = 1
--> groups by test: 'fib4', 'hdl', 'sbp', 'smoke'
--> measure 1: sum of deviations of value, clamped to 0 .. 260 in steps of 0.01
--> measure 2: count of rows
--> each person counts with at most 4 rows in all, in at most 4 groups
--> shows test: test
--> shows avg(value): mean from measures 1 and 2

-- title: the change from the value before
SELECT avg(change) FROM (SELECT value - lag(value) OVER (PARTITION BY patient_id ORDER BY day) AS change FROM liver.measurements WHERE test = 'hdl');
--> reads liver.measurements (at most 60 rows a person count): patient_id, day, test, value
--> keeps rows where test = 'hdl'
--> computes d0.0 = lag of value by day within the person
--> computes d1.0 = value - d0.0
--> measure 1: sum of deviations of d1.0, clamped to -140 .. 140 in steps of 0.01
--> measure 2: count of rows where d1.0 is not null
--> each person counts with at most 60 rows
--> shows avg(change): mean from measures 1 and 2

-- title: all positions and neighbours
SELECT avg(a), avg(b), avg(c), avg(d), avg(e) FROM (SELECT rank() OVER (PARTITION BY patient_id ORDER BY day) AS a, dense_rank() OVER (PARTITION BY patient_id ORDER BY day) AS b, lead(value, 2) OVER (PARTITION BY patient_id ORDER BY day) AS c, first_value(value) OVER (PARTITION BY patient_id ORDER BY day) AS d, last_value(value) OVER (PARTITION BY patient_id ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS e FROM liver.measurements WHERE test = 'sbp');
--> reads liver.measurements (at most 60 rows a person count): patient_id, day, test, value
--> keeps rows where test = 'sbp'
--> computes d0.0 = rank by day within the person
--> computes d0.1 = dense rank by day within the person
--> computes d0.2 = lead of value by 2 rows by day within the person
--> computes d0.3 = first of value by day within the person
--> computes d0.4 = last of value by day within the person
--> measure 1: sum of deviations of d0.0, clamped to 1 .. 60 in steps of 1
--> measure 2: sum of deviations of d0.1, clamped to 1 .. 60 in steps of 1
--> measure 3: sum of deviations of d0.2, clamped to 60 .. 260 in steps of 0.01
--> measure 4: sum of deviations of d0.3, clamped to 60 .. 260 in steps of 0.01
--> measure 5: sum of deviations of d0.4, clamped to 60 .. 260 in steps of 0.01
--> measure 6: count of rows where d0.2 is not null
--> measure 7: count of rows
--> each person counts with at most 60 rows
--> shows avg(a): mean from measures 1 and 7
--> shows avg(b): mean from measures 2 and 7
--> shows avg(c): mean from measures 3 and 6
--> shows avg(d): mean from measures 4 and 7
--> shows avg(e): mean from measures 5 and 7

-- title: folds over the whole of a person's rows
SELECT avg(value - mean) FROM (SELECT value, avg(value) OVER (PARTITION BY patient_id) AS mean, count(*) OVER (PARTITION BY patient_id) AS n, max(day) OVER (PARTITION BY patient_id) AS latest FROM liver.measurements WHERE test = 'sbp') WHERE n > 1 AND latest > 0;
--> reads liver.measurements (at most 60 rows a person count): patient_id, day, test, value
--> keeps rows where test = 'sbp'
--> computes d0.0 = mean of value, clamped to 60 .. 260 in steps of 0.01 within the person
--> computes d0.1 = count of rows within the person
--> computes d0.2 = max of day within the person
--> keeps rows where (d0.2 > 0) and (d0.1 > 1)
--> measure 1: sum of deviations of value - d0.0, clamped to -200 .. 200 in steps of 0.01
--> measure 2: count of rows
--> each person counts with at most 60 rows
--> shows avg(value - mean): mean from measures 1 and 2

-- title: a running sum
SELECT count(*) FROM (SELECT sum(value) OVER (PARTITION BY patient_id ORDER BY day) AS so_far FROM liver.measurements WHERE test = 'smoke') WHERE so_far >= 2;
--> reads liver.measurements (at most 60 rows a person count): patient_id, day, test, value
--> keeps rows where test = 'smoke'
--> computes d0.0 = sum of value, clamped to 0 .. 1 in steps of 0.01 up to the row by day within the person
--> keeps rows where d0.0 >= 2
--> measure 1: count of rows
--> each person counts with at most 60 rows
--> shows count(*): measure 1

-- title: LAG with a default
SELECT avg(before) FROM (SELECT lag(day, 1, 0) OVER (PARTITION BY patient_id ORDER BY day) AS before FROM liver.conditions);
--> reads liver.conditions (at most 14 rows a person count): patient_id, day
--> computes d0.0 = lag of day by day within the person
--> computes d0.1 = lag of true by day within the person
--> computes d1.0 = case when d0.1 is not null then d0.0 else 0 end
--> measure 1: sum of deviations of d1.0, clamped to -17000 .. 8000 in steps of 1
--> measure 2: count of rows where d1.0 is not null
--> each person counts with at most 14 rows
--> shows avg(before): mean from measures 1 and 2
